"""The organizations that were exported: their numbers, names and accounts, remembered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.tables import organizations


@dataclass(frozen=True)
class Organization:
    """A Pipefy organization, as far as it is known.

    Attributes:
        uuid: Its UUID, in lower case with hyphens.
        account: The account of the configuration that reads it.
        id: The number in the app's address.
        name: The name that Pipefy gives it.
    """

    uuid: str
    account: str
    id: str | None = None
    name: str | None = None


def read_organizations(connection: sa.Connection) -> list[Organization]:
    """Every organization that was ever exported."""
    columns = organizations.c
    rows = connection.execute(sa.select(columns.uuid, columns.account, columns.id, columns.name))
    return [Organization(*row) for row in rows]


def read_organization_rows(connection: sa.Connection) -> list[dict[str, object]]:
    """The whole table, by column name."""
    return [dict(row) for row in connection.execute(sa.select(organizations)).mappings()]


def upsert_organizations(connection: sa.Connection, seen: Sequence[Organization], *, at: datetime) -> None:
    """Remembers organizations; a number or name once known is never replaced by an unknown one.

    A row is written when something about it is new, or on the first run of a day (UTC).
    """
    for chunk in _chunks(seen, size=500):
        stored = _read_by_uuid(connection, [organization.uuid for organization in chunk])
        _insert_new(connection, [each for each in chunk if each.uuid not in stored], at=at)
        _update_known(connection, [each for each in chunk if each.uuid in stored], stored, at=at)


def _chunks(seen: Sequence[Organization], *, size: int) -> Iterable[Sequence[Organization]]:
    # Databases bound the number of values in one IN list.
    return (seen[start : start + size] for start in range(0, len(seen), size))


def _read_by_uuid(connection: sa.Connection, uuids: list[str]) -> dict[str, sa.Row[tuple[object, ...]]]:
    rows = connection.execute(sa.select(organizations).where(organizations.c.uuid.in_(uuids)))
    return {row.uuid: row for row in rows}


def _insert_new(connection: sa.Connection, new: Sequence[Organization], *, at: datetime) -> None:
    if new:
        connection.execute(
            organizations.insert(),
            [
                {
                    "uuid": each.uuid,
                    "id": each.id,
                    "name": each.name,
                    "account": each.account,
                    "first_seen_at": at,
                    "last_seen_at": at,
                }
                for each in new
            ],
        )


def _update_known(
    connection: sa.Connection,
    known: Sequence[Organization],
    stored: dict[str, sa.Row[tuple[object, ...]]],
    *,
    at: datetime,
) -> None:
    updates = []
    for each in known:
        row = stored[each.uuid]
        values = {
            "id": each.id or row.id,
            "name": each.name or row.name,
            "account": each.account,
            "last_seen_at": at if row.last_seen_at.date() < at.date() else row.last_seen_at,
        }
        if any(getattr(row, name) != value for name, value in values.items()):
            updates.append({"its_uuid": each.uuid, **values})
    if updates:
        connection.execute(
            organizations.update().where(organizations.c.uuid == sa.bindparam("its_uuid")), updates
        )

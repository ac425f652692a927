"""Organizations are remembered; what is known is never forgotten."""

import uuid
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.database import connect
from storage.organizations import (
    Organization,
    read_organization_rows,
    read_organizations,
    upsert_organizations,
)
from tests.storage.frames import ACME, GLOBEX, NOW

KNOWN = Organization(ACME, "main", id="300123456", name="Acme")
TOMORROW = NOW + timedelta(days=1)


def _seen(
    connection: sa.Connection, *organizations: Organization, at: datetime = NOW
) -> list[dict[str, object]]:
    upsert_organizations(connection, organizations, at=at)
    return read_organization_rows(connection)


def test_new_organizations_are_remembered(connection: sa.Connection) -> None:
    unnamed = Organization(GLOBEX, "other")

    rows = _seen(connection, KNOWN, unnamed)

    assert sorted(read_organizations(connection), key=lambda each: each.uuid) == [KNOWN, unnamed]
    seen = {"first_seen_at": NOW, "last_seen_at": NOW}
    assert sorted(rows, key=lambda row: str(row["uuid"])) == [
        {**asdict(each), **seen} for each in (KNOWN, unnamed)
    ]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Organization(ACME, "main"), KNOWN),
        (Organization(ACME, "main", name="Acme Inc"), Organization(ACME, "main", "300123456", "Acme Inc")),
        (Organization(ACME, "main", id="42"), Organization(ACME, "main", "42", "Acme")),
        (Organization(ACME, "main", id="", name=""), KNOWN),
        (Organization(ACME, "other"), Organization(ACME, "other", "300123456", "Acme")),
    ],
    ids=["nothing known", "new name", "new id", "empty", "new account"],
)
def test_what_is_known_is_replaced_only_by_what_is_known(
    connection: sa.Connection, seen: Organization, expected: Organization
) -> None:
    _seen(connection, KNOWN)
    _seen(connection, seen, at=NOW + timedelta(minutes=1))

    assert read_organizations(connection) == [expected]


def test_a_number_and_a_name_that_were_unknown_are_filled_in(connection: sa.Connection) -> None:
    _seen(connection, Organization(ACME, "main"))

    (row,) = _seen(connection, KNOWN, at=TOMORROW)

    assert row == {**asdict(KNOWN), "first_seen_at": NOW, "last_seen_at": TOMORROW}


def test_only_the_first_run_of_a_day_is_noted(connection: sa.Connection) -> None:
    midnight = TOMORROW.replace(hour=0, minute=0)
    runs = [NOW, NOW + timedelta(hours=3), midnight, midnight + timedelta(hours=23), NOW]

    last_seen = [_seen(connection, KNOWN, at=at)[0]["last_seen_at"] for at in runs]

    assert last_seen == [NOW, NOW, midnight, midnight, midnight]


def test_a_second_run_of_the_day_writes_nothing(sqlite_engine: sa.Engine) -> None:
    def version_after(*, at: datetime) -> object:
        """Of the file, which every commit of another connection that wrote something raises."""
        with connect(sqlite_engine) as connection, connection.begin():
            upsert_organizations(connection, [KNOWN], at=at)
        version = watching.exec_driver_sql("PRAGMA data_version").scalar()
        watching.rollback()
        return version

    with connect(sqlite_engine) as watching:
        before = version_after(at=NOW)

        assert version_after(at=NOW + timedelta(hours=1)) == before
        assert version_after(at=TOMORROW) != before


def test_more_organizations_than_one_statement_takes_are_remembered(connection: sa.Connection) -> None:
    many = [Organization(str(uuid.UUID(int=number)), "main", name=str(number)) for number in range(1201)]
    _seen(connection, *many[::2])

    rows = _seen(connection, *many, at=TOMORROW)

    assert sorted((row["uuid"], row["name"]) for row in rows) == [(each.uuid, each.name) for each in many]
    assert {row["last_seen_at"] for row in rows} == {TOMORROW}
    assert sum(row["first_seen_at"] == NOW for row in rows) == 601


def test_no_organizations_are_no_statement_to_fail(connection: sa.Connection) -> None:
    assert _seen(connection) == []

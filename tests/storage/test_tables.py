"""What the tables refuse and keep, on every database."""

from datetime import date

import pytest
import sqlalchemy as sa

from storage.tables import DAILY, MONTHLY, PERIOD, USAGE_TABLES, UsageTable, organizations
from tests.storage.frames import ACME, NOW

VALUES: dict[str, object] = {
    "organization_uuid": ACME,
    "period": "last_month",
    "period_from": date(2026, 5, 1),
    "period_to": date(2026, 5, 31),
    "date": date(2026, 6, 1),
    "month": date(2026, 6, 1),
    "usage": 1,
    "usage_limit": 1,
    "active_flows": 1,
    "history_usage": 1,
    "first_seen_at": NOW,
    "changed_at": NOW,
    "run_id": "run",
}
COUNTS = [
    (usage_table, column)
    for usage_table in USAGE_TABLES
    for column in ("usage", "usage_limit", "active_flows", "history_usage")
    if column in usage_table.measures
]


def _row(usage_table: UsageTable, **changed: object) -> dict[str, object]:
    return {column.name: {**VALUES, **changed}[column.name] for column in usage_table.table.columns}


def _organization(uuid: str, **changed: object) -> dict[str, object]:
    return {"uuid": uuid, "account": "main", "first_seen_at": NOW, "last_seen_at": NOW, **changed}


def test_keys_buckets_and_measures_are_these() -> None:
    assert DAILY.key == ("organization_uuid", "date")
    assert MONTHLY.key == ("organization_uuid", "month")
    assert PERIOD.key == ("organization_uuid", "period", "period_from")
    assert [usage_table.has_period for usage_table in USAGE_TABLES] == [False, False, True]
    assert all(usage_table.bucket in usage_table.key for usage_table in USAGE_TABLES)


def test_negative_counts_are_refused(connection: sa.Connection) -> None:
    for usage_table, column in COUNTS:
        with pytest.raises(sa.exc.DBAPIError, match="not_negative"), connection.begin_nested():
            connection.execute(usage_table.table.insert(), _row(usage_table, **{column: -1}))


def test_the_largest_counts_are_kept_exactly(connection: sa.Connection) -> None:
    for usage_table, column in COUNTS:
        largest = _row(usage_table, **{column: 2**63 - 1, "organization_uuid": column})
        connection.execute(usage_table.table.insert(), largest)
        same = usage_table.table.c.organization_uuid == column
        assert connection.scalar(sa.select(usage_table.table.c[column]).where(same)) == 2**63 - 1


@pytest.mark.parametrize("usage_table", USAGE_TABLES, ids=lambda usage_table: usage_table.name)
def test_a_key_is_stored_once(usage_table: UsageTable, connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        connection.execute(usage_table.table.insert(), [_row(usage_table), _row(usage_table)])


def test_codes_are_told_apart_by_case(connection: sa.Connection) -> None:
    connection.execute(organizations.insert(), [_organization("a"), _organization("A")])

    assert connection.scalars(sa.select(organizations.c.uuid).where(organizations.c.uuid == "A")).all() == [
        "A"
    ]


def test_names_keep_the_whole_of_unicode(connection: sa.Connection) -> None:
    name = "Ação & 東京 \N{SNAKE}"
    connection.execute(organizations.insert(), _organization("a", name=name))

    assert connection.scalar(sa.select(organizations.c.name)) == name

"""Instants mean the same on every database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from storage.tables import organizations

MICROSECOND = datetime(2026, 6, 16, 5, 15, 0, 1, tzinfo=UTC)
INSTANTS = [
    datetime(2000, 1, 1, tzinfo=UTC),
    MICROSECOND,
    datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 6, 16, 23, 0, tzinfo=timezone(timedelta(hours=-3))),
]


def _insert(connection: sa.Connection, *instants: datetime) -> None:
    rows = [
        {"uuid": str(number), "account": "main", "first_seen_at": instant, "last_seen_at": instant}
        for number, instant in enumerate(instants)
    ]
    connection.execute(organizations.insert(), rows)


def test_instants_come_back_to_the_microsecond_and_in_utc(connection: sa.Connection) -> None:
    _insert(connection, *INSTANTS)
    stored = connection.scalars(sa.select(organizations.c.first_seen_at).order_by(organizations.c.uuid))

    read = stored.all()

    assert read == INSTANTS
    assert {instant.tzinfo for instant in read} == {UTC}


def test_instants_are_compared_by_the_database_whatever_their_zone(connection: sa.Connection) -> None:
    elsewhere = MICROSECOND.astimezone(timezone(timedelta(hours=9)))
    _insert(connection, *INSTANTS)
    same = sa.select(organizations.c.uuid).where(organizations.c.first_seen_at == elsewhere)
    later = sa.select(sa.func.count()).where(organizations.c.first_seen_at > elsewhere)

    assert connection.scalars(same).all() == ["1"]
    assert connection.scalar(later) == 2


def test_a_client_with_another_zone_reads_the_same_instant(connection: sa.Connection) -> None:
    zone = {
        "postgresql": "SET TIME ZONE 'Asia/Tokyo'",
        "mysql": "SET time_zone = '+09:00'",
        "sqlite": "SELECT 1",
    }
    _insert(connection, MICROSECOND)
    connection.exec_driver_sql(zone[connection.dialect.name])

    assert connection.scalar(sa.select(organizations.c.first_seen_at)) == MICROSECOND


def test_a_null_instant_stays_null(connection: sa.Connection) -> None:
    nothing = sa.cast(sa.null(), organizations.c.first_seen_at.type)
    assert connection.scalar(sa.select(nothing)) is None
    equal = organizations.c.first_seen_at.is_not_distinct_from(sa.bindparam("instant", None))
    assert connection.scalars(sa.select(organizations.c.uuid).where(equal)).all() == []


def test_a_naive_instant_is_refused(sqlite_engine: sa.Engine) -> None:
    naive = MICROSECOND.replace(tzinfo=None)
    with sqlite_engine.connect() as connection, pytest.raises(sa.exc.StatementError, match="has no zone"):
        _insert(connection, naive)

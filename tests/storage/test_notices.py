"""Which notices were sent."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage.notices import record_sent, unsent
from storage.tables import notices
from tests.storage.frames import NOW


def test_what_was_never_recorded_is_unsent_in_its_order(connection: sa.Connection) -> None:
    record_sent(connection, ["b"], at=NOW)

    assert unsent(connection, ["c", "b", "a"]) == ["c", "a"]
    assert unsent(connection, ["b"]) == []
    assert unsent(connection, []) == []


def test_keys_are_apart_by_case(connection: sa.Connection) -> None:
    record_sent(connection, ["Usage:A"], at=NOW)

    assert unsent(connection, ["usage:a", "Usage:A"]) == ["usage:a"]


def test_what_was_sent_keeps_its_first_instant(connection: sa.Connection) -> None:
    record_sent(connection, ["a"], at=NOW)
    record_sent(connection, ["a", "b"], at=NOW + timedelta(hours=1))

    rows = connection.execute(sa.select(notices.c.key, notices.c.sent_at).order_by(notices.c.key))
    assert [tuple(row) for row in rows] == [("a", NOW), ("b", NOW + timedelta(hours=1))]


@pytest.mark.parametrize("keys", [["a", "a"], ["a", "b", "a"]])
def test_a_key_that_is_named_twice_is_recorded_once(connection: sa.Connection, keys: list[str]) -> None:
    record_sent(connection, keys, at=NOW)

    assert unsent(connection, keys) == []


def test_nothing_to_record_is_recorded(connection: sa.Connection) -> None:
    record_sent(connection, [], at=NOW)

    assert connection.scalar(sa.select(sa.func.count()).select_from(notices)) == 0

"""A frame into a table by key: only what differs is written."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import connect, reading
from storage.errors import InvalidFrameError
from storage.tables import DAILY, PERIOD, USAGE_TABLES, UsageTable, usage_restatements
from storage.upsert import Change, RowCounts, Upserted, compare_frame, upsert_frame
from tests.storage.frames import ACME, GLOBEX, NOW, Row, closes_at, stored_usage, usage_frame

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
CLOSED = datetime(2026, 7, 2, tzinfo=UTC)
LATER = CLOSED + timedelta(days=1)
tables = pytest.mark.parametrize("usage_table", USAGE_TABLES, ids=lambda usage_table: usage_table.name)


def _upsert(
    connection: sa.Connection,
    usage_table: UsageTable,
    *rows: Row,
    at: datetime = NOW,
    run_id: str = "run",
    **frame: Any,  # noqa: ANN401 # whatever usage_frame takes
) -> Upserted:
    return upsert_frame(
        connection, usage_table, usage_frame(usage_table, *rows, **frame), run_id=run_id, at=at
    )


def _rows(connection: sa.Connection, table: sa.Table) -> list[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def _restatements(connection: sa.Connection) -> list[Mapping[str, Any]]:
    return _rows(connection, usage_restatements)


@tables
def test_new_rows_are_inserted_with_when_and_by_which_run(
    connection: sa.Connection, usage_table: UsageTable
) -> None:
    upserted = _upsert(connection, usage_table, (ACME, MAY, 5, None), (ACME, JUNE, 6, 100))

    assert sum(upserted.counts.values(), RowCounts()) == RowCounts(seen=2, inserted=2)
    assert stored_usage(connection, usage_table) == {(ACME, MAY): (5, None), (ACME, JUNE): (6, 100)}
    for row in _rows(connection, usage_table.table):
        assert (row["first_seen_at"], row["changed_at"], row["run_id"]) == (NOW, NOW, "run")


def test_all_measures_of_a_period_are_stored(connection: sa.Connection) -> None:
    _upsert(connection, PERIOD, (ACME, MAY, 1280, 5), period="last_month", active_flows=7, history_usage=184)

    (row,) = _rows(connection, PERIOD.table)
    assert {name: row[name] for name in (*PERIOD.key, *PERIOD.measures)} == {
        "organization_uuid": ACME,
        "period": "last_month",
        "period_from": MAY,
        "period_to": date(2026, 5, 31),
        "usage": 1280,
        "usage_limit": 5,
        "active_flows": 7,
        "history_usage": 184,
    }


@pytest.fixture
def touched(engine: sa.Engine) -> Iterator[sa.TextClause]:
    """Counts each touch of a row of the period table, also of one that left its values alone."""
    name, actions = PERIOD.name, ("insert", "update", "delete")
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            # A row that is written, even with its own values, gets another xmin and another ctid.
            yield sa.text(f"SELECT string_agg(concat(xmin, ctid), ',' ORDER BY ctid) FROM {name}")
            return
        connection.exec_driver_sql("CREATE TABLE touched (action VARCHAR(10))")
        each_row, ends = ("", "END") if engine.dialect.name == "sqlite" else ("FOR EACH ROW ", "END")
        for action in actions:
            connection.exec_driver_sql(
                f"CREATE TRIGGER touched_{action} AFTER {action} ON {name} {each_row}"
                f"BEGIN INSERT INTO touched VALUES ('{action}'); {ends}"
            )
    yield sa.text("SELECT COUNT(*) FROM touched")
    with engine.connect() as connection, connection.begin():
        for action in actions:
            connection.exec_driver_sql(f"DROP TRIGGER touched_{action}")
        connection.exec_driver_sql("DROP TABLE touched")


def test_a_second_identical_frame_writes_no_row(engine: sa.Engine, touched: sa.TextClause) -> None:
    rows: list[Row] = [(ACME, MAY, 5, None), (ACME, JUNE, 6, 100), (GLOBEX, MAY, 0, 0)]
    with connect(engine) as connection:
        with connection.begin():
            _upsert(connection, PERIOD, *rows)
            before = connection.scalar(touched), _rows(connection, PERIOD.table)
        with connection.begin():
            upserted = _upsert(connection, PERIOD, *reversed(rows), at=LATER, run_id="second")
            again = connection.scalar(touched), _rows(connection, PERIOD.table)
        with connection.begin():
            _upsert(connection, PERIOD, (ACME, MAY, 6, None), at=LATER)
            changed = connection.scalar(touched)

    assert sum(upserted.counts.values(), RowCounts()) == RowCounts(seen=3)
    assert again == before
    assert changed != before[0], "the count would not have seen a write"


@tables
def test_only_rows_that_differ_are_changed(connection: sa.Connection, usage_table: UsageTable) -> None:
    _upsert(connection, usage_table, (ACME, MAY, 5, None), (ACME, JUNE, 6, None), run_id="first")

    upserted = _upsert(
        connection, usage_table, (ACME, MAY, 5, None), (ACME, JUNE, 7, None), at=LATER, run_id="second"
    )

    assert sum(upserted.counts.values(), RowCounts()) == RowCounts(seen=2, changed=1)
    written = {
        row[usage_table.bucket]: (row["usage"], row["first_seen_at"], row["changed_at"], row["run_id"])
        for row in _rows(connection, usage_table.table)
    }
    assert written == {MAY: (5, NOW, NOW, "first"), JUNE: (7, NOW, LATER, "second")}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (None, 5, 1),
        (5, None, 1),
        (5, 6, 1),
        (0, None, 1),
        (None, 0, 1),
        (None, None, 0),
        (0, 0, 0),
        (5, 5, 0),
    ],
)
def test_a_null_limit_differs_from_every_number_and_from_no_null(
    connection: sa.Connection, old: int | None, new: int | None, changed: int
) -> None:
    _upsert(connection, DAILY, (ACME, JUNE, 1, old))

    upserted = _upsert(connection, DAILY, (ACME, JUNE, 1, new), at=LATER)

    assert upserted.counts == {(ACME, "current_month"): RowCounts(seen=1, changed=changed)}
    assert upserted.restated == len(_restatements(connection)) == changed
    assert stored_usage(connection, DAILY) == {(ACME, JUNE): (1, new)}


@pytest.mark.parametrize(
    ("column", "value"), [("period_to", date(2026, 5, 30)), ("active_flows", 4), ("history_usage", 8)]
)
def test_another_measure_of_a_closed_period_is_a_change_but_no_restatement(
    connection: sa.Connection, column: str, value: object
) -> None:
    changed: dict[str, Any] = {column: value}
    _upsert(connection, PERIOD, (ACME, MAY, 1, None))

    upserted = _upsert(connection, PERIOD, (ACME, MAY, 1, None), at=LATER, **changed)

    assert upserted == Upserted({(ACME, "current_month"): RowCounts(seen=1, changed=1)}, restated=0)
    (row,) = _rows(connection, PERIOD.table)
    assert (row[column], row["changed_at"]) == (value, LATER)


def test_another_window_of_a_period_is_another_row(connection: sa.Connection) -> None:
    _upsert(connection, PERIOD, (ACME, MAY, 1, None), period="current_month")
    _upsert(connection, PERIOD, (ACME, MAY, 1, None), period="last_month")

    upserted = _upsert(connection, PERIOD, (ACME, JUNE, 1, None), period="current_month")

    assert upserted.counts == {(ACME, "current_month"): RowCounts(seen=1, inserted=1)}
    assert len(_rows(connection, PERIOD.table)) == 3


@tables
def test_a_change_of_a_value_stored_after_its_bucket_closed_is_a_restatement(
    connection: sa.Connection, usage_table: UsageTable
) -> None:
    closed = closes_at(usage_table, JUNE)
    _upsert(connection, usage_table, (ACME, JUNE, 5, None), at=closed)

    upserted = _upsert(connection, usage_table, (ACME, JUNE, 4, 9), at=LATER, run_id="second")

    assert upserted.restated == 1
    (restatement,) = _restatements(connection)
    restatement = {name: value for name, value in restatement.items() if name != "id"}
    assert restatement == {
        "table_name": usage_table.name,
        "organization_uuid": ACME,
        "bucket": JUNE,
        "period": "current_month" if usage_table is PERIOD else None,
        "old_usage": 5,
        "new_usage": 4,
        "old_usage_limit": None,
        "new_usage_limit": 9,
        "restated_at": LATER,
        "run_id": "second",
    }


@tables
def test_a_change_of_a_value_stored_while_its_bucket_was_open_is_no_restatement(
    connection: sa.Connection, usage_table: UsageTable
) -> None:
    open_still = closes_at(usage_table, JUNE) - timedelta(microseconds=1)
    _upsert(connection, usage_table, (ACME, JUNE, 5, None), at=open_still)

    upserted = _upsert(connection, usage_table, (ACME, JUNE, 6, None), at=LATER)

    assert upserted == Upserted({(ACME, usage_table.periods[0]): RowCounts(seen=1, changed=1)}, restated=0)
    assert _restatements(connection) == []


def test_each_later_change_of_a_closed_bucket_is_a_restatement(connection: sa.Connection) -> None:
    for usage in (1, 2, 3, 3, 1):
        _upsert(connection, DAILY, (ACME, JUNE, usage, None))

    steps = [(each["old_usage"], each["new_usage"]) for each in _restatements(connection)]
    assert sorted(steps) == [(1, 2), (2, 3), (3, 1)]


def test_rows_are_counted_by_the_answer_that_said_them(connection: sa.Connection) -> None:
    _upsert(connection, DAILY, (ACME, JUNE, 1, None), (GLOBEX, MAY, 1, None))
    frame = pd.concat(
        [
            usage_frame(DAILY, (ACME, JUNE, 2, None), (ACME, date(2026, 6, 2), 1, None)),
            usage_frame(DAILY, (ACME, MAY, 1, None), (GLOBEX, MAY, 1, None), period="last_month"),
        ],
        ignore_index=True,
    )

    upserted = upsert_frame(connection, DAILY, frame, run_id="second", at=LATER)

    assert upserted.counts == {
        (ACME, "current_month"): RowCounts(seen=2, inserted=1, changed=1),
        (ACME, "last_month"): RowCounts(seen=1, inserted=1),
        (GLOBEX, "last_month"): RowCounts(seen=1),
    }


@tables
def test_what_vanishes_upstream_stays(connection: sa.Connection, usage_table: UsageTable) -> None:
    _upsert(connection, usage_table, (ACME, MAY, 5, None), (ACME, JUNE, 6, None), (GLOBEX, JUNE, 7, None))

    _upsert(connection, usage_table, (ACME, JUNE, 8, None), at=LATER)

    assert stored_usage(connection, usage_table) == {
        (ACME, MAY): (5, None),
        (ACME, JUNE): (8, None),
        (GLOBEX, JUNE): (7, None),
    }


@tables
def test_large_numbers_stay_exact(connection: sa.Connection, usage_table: UsageTable) -> None:
    rows: list[Row] = [
        (ACME, MAY, 2**53 + 1, 2**63 - 1),
        (ACME, JUNE, 2**63 - 1, 2**53 + 1),
        (GLOBEX, MAY, 0, None),
    ]

    _upsert(connection, usage_table, *rows)

    assert stored_usage(connection, usage_table) == {row[:2]: row[2:] for row in rows}


def test_a_difference_beyond_what_a_float_can_tell_is_a_change(connection: sa.Connection) -> None:
    _upsert(connection, DAILY, (ACME, JUNE, 2**53, 2**53))

    upserted = _upsert(connection, DAILY, (ACME, JUNE, 2**53 + 1, 2**53))

    assert upserted.counts[ACME, "current_month"].changed == 1
    assert stored_usage(connection, DAILY) == {(ACME, JUNE): (2**53 + 1, 2**53)}


@tables
def test_limits_that_are_all_null_stay_null(connection: sa.Connection, usage_table: UsageTable) -> None:
    _upsert(connection, usage_table, (ACME, MAY, 1, None), (ACME, JUNE, 2, None))

    assert {limit for _, limit in stored_usage(connection, usage_table).values()} == {None}


@tables
def test_an_empty_frame_changes_nothing(connection: sa.Connection, usage_table: UsageTable) -> None:
    _upsert(connection, usage_table, (ACME, MAY, 1, None))

    assert _upsert(connection, usage_table, at=LATER) == Upserted({}, restated=0)
    assert stored_usage(connection, usage_table) == {(ACME, MAY): (1, None)}


GOOD = usage_frame(DAILY, (ACME, MAY, 1, None), (ACME, JUNE, 2, None))
UNFIT = {
    "null key": (
        GOOD.assign(organization_uuid=pd.array([ACME, None], "str")),
        r"null in its key \(organization",
    ),
    "null day": (GOOD.assign(date=GOOD["date"].shift()), r"null in its key \(date\)"),
    "repeated key": (usage_frame(DAILY, (ACME, MAY, 1, None), (ACME, MAY, 1, None)), "1 repeated keys"),
    "missing column": (GOOD.drop(columns="usage_limit"), "has the columns"),
    "foreign column": (GOOD.assign(spent=1), "has the columns"),
    "other order": (GOOD[sorted(GOOD.columns)], "has the columns"),
    "null usage": (GOOD.assign(usage=pd.array([1, None], "Int64")), "does not fit"),
    "null period": (GOOD.assign(period=pd.array([None, None], "str")), "does not fit"),
    "null close": (GOOD.assign(closes_at=pd.array([None, None], "datetime64[us, UTC]")), "does not fit"),
    "fraction": (GOOD.assign(usage=[1.5, 2]), "does not fit"),
    "text": (GOOD.assign(usage=["one", "two"]), "does not fit"),
    "number for text": (GOOD.assign(organization_uuid=[1, 2]), "does not fit"),
    "65 bits": (GOOD.assign(usage=pd.Series([1, 2**64], dtype=object)), "does not fit"),
    "64 bits without sign": (GOOD.assign(usage=pd.Series([1, 2**63], dtype="uint64")), "does not fit"),
}


@pytest.mark.parametrize(("frame", "message"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_frame_is_refused_and_nothing_of_it_stored(
    sqlite_engine: sa.Engine, frame: pd.DataFrame, message: str
) -> None:
    with connect(sqlite_engine) as connection, connection.begin():
        with pytest.raises(InvalidFrameError, match=message) as refusal:
            upsert_frame(connection, DAILY, frame, run_id="run", at=NOW)
        with pytest.raises(InvalidFrameError, match=message):
            compare_frame(connection, DAILY, frame)

        assert stored_usage(connection, DAILY) == {}
    assert DAILY.name in str(refusal.value)


def test_a_batch_that_is_rolled_back_leaves_nothing(engine: sa.Engine) -> None:
    with connect(engine) as connection:
        with connection.begin() as transaction:
            _upsert(connection, DAILY, (ACME, MAY, 1, None))
            transaction.rollback()
        with connection.begin():
            upserted = _upsert(connection, DAILY, (ACME, JUNE, 2, None))

        assert upserted.counts == {(ACME, "current_month"): RowCounts(seen=1, inserted=1)}
        assert stored_usage(connection, DAILY) == {(ACME, JUNE): (2, None)}


def test_a_batch_that_the_database_refused_leaves_nothing(engine: sa.Engine) -> None:
    with connect(engine) as connection:
        with pytest.raises(sa.exc.DBAPIError), connection.begin():
            _upsert(connection, DAILY, (ACME, MAY, 1, None), (ACME, JUNE, -1, None))
        with connection.begin():
            _upsert(connection, DAILY, (ACME, JUNE, 2, None))

        assert stored_usage(connection, DAILY) == {(ACME, JUNE): (2, None)}


def test_no_temporary_table_outlives_an_upsert(connection: sa.Connection) -> None:
    _upsert(connection, DAILY, (ACME, MAY, 1, None))

    with pytest.raises(sa.exc.DBAPIError, match="stage_integrations_usage_daily"), connection.begin_nested():
        connection.execute(sa.text("SELECT COUNT(*) FROM stage_integrations_usage_daily"))


def test_a_real_table_of_the_stages_name_is_left_alone(engine: sa.Engine) -> None:
    with connect(engine) as connection:
        with connection.begin():
            connection.exec_driver_sql("CREATE TABLE stage_integrations_usage_daily (kept INTEGER)")
        try:
            with connection.begin():
                _upsert(connection, DAILY, (ACME, MAY, 1, None))
            kept = sa.text("SELECT COUNT(kept) FROM stage_integrations_usage_daily")
            assert connection.scalar(kept) == 0
            connection.rollback()
        finally:
            with connection.begin():
                connection.exec_driver_sql("DROP TABLE stage_integrations_usage_daily")


@st.composite
def _frames(draw: st.DrawFn) -> list[tuple[datetime, list[Row]]]:
    """Frames of few keys and values, so that they meet, at instants before, at and after the bucket's end."""
    keys = st.tuples(st.sampled_from([ACME, GLOBEX]), st.sampled_from([date(2026, 6, 15), date(2026, 6, 16)]))
    values = st.tuples(st.sampled_from([0, 1, 2**63 - 1]), st.sampled_from([None, 0, 2**53 + 1]))
    instants = st.sampled_from([NOW, closes_at(DAILY, NOW.date()), NOW + timedelta(days=3)])
    batches = st.lists(st.tuples(instants, st.dictionaries(keys, values, max_size=4)), max_size=5)
    return [
        (at, [(*key, *value) for key, value in batch.items()])
        for at, batch in sorted(draw(batches), key=lambda each: each[0])
    ]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=_frames())
def test_any_frames_leave_what_a_dict_would_hold(
    connection: sa.Connection, frames: list[tuple[datetime, list[Row]]]
) -> None:
    savepoint = connection.begin_nested()
    held: dict[tuple[str, date], tuple[int, int | None]] = {}
    changed_at: dict[tuple[str, date], datetime] = {}
    restated = 0
    for at, rows in frames:
        inserted = changed = 0
        for organization, day, usage, limit in rows:
            key, value = (organization, day), (usage, limit)
            if key not in held:
                inserted += 1
            elif held[key] != value:
                changed += 1
                restated += changed_at[key] >= closes_at(DAILY, day)
            if held.get(key) != value:
                held[key], changed_at[key] = value, at
        upserted = _upsert(connection, DAILY, *rows, at=at)
        total = sum(upserted.counts.values(), RowCounts())
        assert total == RowCounts(len(rows), inserted, changed)

    assert stored_usage(connection, DAILY) == held
    assert len(_restatements(connection)) == restated
    savepoint.rollback()


@tables
def test_a_comparison_says_what_the_upsert_then_does(
    connection: sa.Connection, usage_table: UsageTable
) -> None:
    _upsert(connection, usage_table, (ACME, MAY, 5, None), (GLOBEX, JUNE, 6, 7), (GLOBEX, MAY, 1, None))
    frame = usage_frame(
        usage_table,
        (GLOBEX, JUNE, 6, None),
        (ACME, JUNE, 1, None),
        (ACME, MAY, 2**53 + 1, 9),
        (GLOBEX, MAY, 1, None),
    )

    difference = compare_frame(connection, usage_table, frame)

    period = usage_table.periods[0]
    assert difference.changes == (
        Change(usage_table.name, ACME, MAY, 5, 2**53 + 1, None, 9, period),
        Change(usage_table.name, GLOBEX, JUNE, 6, 6, 7, None, period),
    )
    upserted = upsert_frame(connection, usage_table, frame, run_id="run", at=LATER)
    assert difference.counts == upserted.counts
    assert sum(upserted.counts.values(), RowCounts()) == RowCounts(seen=4, inserted=1, changed=2)


def test_a_comparison_writes_nothing(engine: sa.Engine) -> None:
    with connect(engine) as connection:
        with connection.begin():
            _upsert(connection, DAILY, (ACME, MAY, 5, None))
        with connection.begin():
            compare_frame(connection, DAILY, usage_frame(DAILY, (ACME, MAY, 6, None), (ACME, JUNE, 1, None)))

        assert stored_usage(connection, DAILY) == {(ACME, MAY): (5, None)}
        assert _restatements(connection) == []


def test_a_comparison_does_not_wait_for_a_writer(shared_engine: sa.Engine) -> None:
    with (
        connect(shared_engine) as writer,
        connect(reading(shared_engine)) as reader,
        writer.begin() as transaction,
    ):
        _upsert(writer, DAILY, (ACME, MAY, 5, None))

        difference = compare_frame(reader, DAILY, usage_frame(DAILY, (ACME, MAY, 5, None)))

        assert difference.counts == {(ACME, "current_month"): RowCounts(seen=1, inserted=1)}
        transaction.rollback()

"""Parquet snapshots: whole or not at all, and readable by everyone."""

import resource
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from storage.errors import SnapshotError
from storage.shapes import organizations_schema, snapshot_schema
from storage.snapshots import SnapshotWriter, snapshot_path, write_snapshot
from storage.tables import DAILY, MONTHLY, PERIOD, USAGE_TABLES, UsageTable
from tests.storage.frames import ACME, GLOBEX, NOW, answer_frames, usage_frame

INITECH = "c0ffee00-0000-4000-8000-000000000003"
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
TODAY, TOMORROW = NOW.date(), NOW + timedelta(days=1)
NAMES = [usage_table.name for usage_table in USAGE_TABLES]
ORGANIZATION = {
    "uuid": ACME,
    "id": "300123456",
    "name": "Acme",
    "account": "main",
    "first_seen_at": NOW,
    "last_seen_at": NOW,
}

Frames = Mapping[str, pd.DataFrame]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def _write(
    root: Path,
    *batches: Frames,
    at: datetime = NOW,
    run_id: str = "run-1",
    organizations: Sequence[Mapping[str, object]] = (ORGANIZATION,),
) -> list[Path]:
    with write_snapshot(root, run_id=run_id, fetched_at=at) as snapshot:
        for batch in batches:
            snapshot.add(batch)
        return snapshot.publish(organizations)


def _read(root: Path, table: str, *columns: str, at: date = TODAY) -> list[tuple[Any, ...]]:
    """Rows of a snapshot, some columns, sorted."""
    rows = pq.read_table(snapshot_path(root, table, at), partitioning=None).to_pylist()
    return sorted((tuple(row[name] for name in columns) for row in rows), key=repr)


def _day(organization: str, day: date, usage: int, limit: int | None = None) -> Frames:
    """What one organization answers: one day, in the period to which that day's month belongs."""
    period = "current_month" if day >= JUNE else "last_month"
    daily = usage_frame(DAILY, (organization, day, usage, limit), period=period)
    return {**answer_frames(organization, period=period), DAILY.name: daily}


def _month(organization: str, month: date, usage: int) -> Frames:
    monthly = usage_frame(MONTHLY, (organization, month, usage, None))
    return {**answer_frames(organization, period="last_3_months"), MONTHLY.name: monthly}


def _every(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@contextmanager
def _disk_full_at(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_would_be_an_error_and_no_signal() -> None:
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN


def test_each_table_is_one_file_in_the_folder_of_its_date(root: Path) -> None:
    paths = _write(root, _day(ACME, JUNE, 5), _month(ACME, MAY, 7))

    names = [*NAMES, "organizations"]
    assert paths == [snapshot_path(root, name, TODAY) for name in names]
    assert _every(root) == [f"{name}/snapshot_date=2026-06-16/{name}.parquet" for name in sorted(names)]


def test_rows_say_when_and_by_which_run_they_were_fetched(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5, 9))

    (row,) = pq.read_table(snapshot_path(root, DAILY.name, TODAY), partitioning=None).to_pylist()
    assert row == {
        "organization_uuid": ACME,
        "date": JUNE,
        "usage": 5,
        "usage_limit": 9,
        "is_provisional": False,
        "fetched_at": NOW,
        "run_id": "run-1",
    }


@pytest.mark.parametrize(
    ("usage_table", "bucket", "is_provisional"),
    [
        (DAILY, TODAY - timedelta(days=1), False),
        (DAILY, TODAY, True),
        (MONTHLY, MAY, False),
        (MONTHLY, JUNE, True),
        (PERIOD, MAY, False),
        (PERIOD, JUNE, True),
    ],
)
def test_a_bucket_is_provisional_until_it_is_over(
    root: Path,
    usage_table: UsageTable,
    bucket: date,
    is_provisional: bool,  # noqa: FBT001 # a case of the table
) -> None:
    rows = usage_frame(usage_table, (ACME, bucket, 1, None))
    period = usage_table.periods[0]
    _write(root, {**answer_frames(ACME, period=period), usage_table.name: rows})

    assert _read(root, usage_table.name, "is_provisional") == [(is_provisional,)]


def test_a_bucket_that_ends_at_the_instant_of_the_run_is_over(root: Path) -> None:
    midnight = datetime(2026, 6, 17, tzinfo=UTC)
    _write(root, _day(ACME, TODAY, 1), at=midnight)

    assert _read(root, DAILY.name, "is_provisional", at=midnight.date()) == [(False,)]


def test_organizations_are_all_there_with_all_that_is_known(root: Path) -> None:
    unnamed = {**ORGANIZATION, "uuid": GLOBEX, "id": None, "name": None}
    _write(root, _day(ACME, JUNE, 5), organizations=[ORGANIZATION, unnamed])

    (acme, globex) = pq.read_table(snapshot_path(root, "organizations", TODAY), partitioning=None).to_pylist()
    assert acme == {**ORGANIZATION, "fetched_at": NOW, "run_id": "run-1"}
    assert globex == {**unnamed, "fetched_at": NOW, "run_id": "run-1"}


@pytest.mark.parametrize("usage_table", USAGE_TABLES, ids=lambda usage_table: usage_table.name)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_the_schema_is_the_declared_one_whatever_the_values(
    root: Path, usage_table: UsageTable, rows: int
) -> None:
    values = [(ACME, MAY, 1, None), (ACME, JUNE, 2, None)][:rows]
    period = usage_table.periods[0]
    frames: Frames = {
        **answer_frames(ACME, period=period),
        usage_table.name: usage_frame(usage_table, *values),
    }
    if usage_table is PERIOD and not rows:
        frames = answer_frames(ACME, period=period)
    _write(root, frames)

    schema = pq.read_schema(snapshot_path(root, usage_table.name, TODAY))

    declared = snapshot_schema(usage_table)
    assert schema.equals(declared)
    assert schema.field("usage_limit").type == pa.int64()
    assert schema.metadata[b"description"] == declared.metadata[b"description"]
    for field in schema:
        assert field.metadata[b"description"] == declared.field(field.name).metadata[b"description"]


def test_the_schema_of_organizations_is_the_declared_one_also_without_any(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5), organizations=[])

    assert pq.read_schema(snapshot_path(root, "organizations", TODAY)).equals(organizations_schema())


def test_large_numbers_stay_exact(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 2**53 + 1, 2**63 - 1), _month(ACME, MAY, 2**63 - 1))

    assert _read(root, DAILY.name, "usage", "usage_limit") == [(2**53 + 1, 2**63 - 1)]
    assert _read(root, MONTHLY.name, "usage") == [(2**63 - 1,)]


def test_a_table_for_which_nothing_was_fetched_gets_no_file(root: Path) -> None:
    paths = _write(root, _month(ACME, MAY, 7))

    assert [path.stem for path in paths] == [MONTHLY.name, PERIOD.name, "organizations"]
    assert not snapshot_path(root, DAILY.name, TODAY).exists()


def test_a_run_that_fetched_nothing_publishes_nothing(root: Path) -> None:
    assert _write(root) == []


def test_a_batch_without_answers_is_no_answer(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5))

    _write(root, answer_frames(), run_id="run-2")

    assert _read(root, DAILY.name, "usage", "run_id") == [(5, "run-1")]


def test_nothing_appears_before_it_is_published(root: Path) -> None:
    with write_snapshot(root, run_id="run-1", fetched_at=NOW) as snapshot:
        snapshot.add(_day(ACME, JUNE, 5))

        prepared = [path for path in root.rglob("*") if path.is_file()]
        assert prepared
        assert list(root.glob("**/*.parquet")) == []
        assert duckdb.execute(f"SELECT COUNT(*) FROM glob('{root}/**/*.parquet')").fetchall() == [(0,)]
        assert ds.dataset(root, format="parquet", partitioning="hive").files == []

    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_run_that_failed_leaves_the_published_file_and_nothing_else(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5))
    published = _every(root)

    with pytest.raises(ZeroDivisionError), write_snapshot(root, run_id="run-2", fetched_at=NOW) as snapshot:
        _fail_after_adding(snapshot)

    assert _every(root) == published
    assert list(root.glob(".*")) == []
    assert _read(root, DAILY.name, "usage", "run_id") == [(5, "run-1")]


def _fail_after_adding(snapshot: SnapshotWriter) -> None:
    snapshot.add(_day(ACME, JUNE, 6))
    raise ZeroDivisionError


def test_what_a_killed_run_left_half_prepared_is_cleared_away(root: Path) -> None:
    left = root / ".preparing" / "killed-run" / DAILY.name
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PAR1 and no more")

    with write_snapshot(root, run_id="run-1", fetched_at=NOW):
        assert not left.exists()

    assert _every(root) == []


def test_a_later_run_replaces_what_it_fetched_and_keeps_the_other_organizations(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5), _day(GLOBEX, JUNE, 6))

    _write(root, _day(ACME, JUNE, 7), run_id="run-2", at=NOW + timedelta(hours=1))

    later = NOW + timedelta(hours=1)
    assert _read(root, DAILY.name, "organization_uuid", "usage", "fetched_at", "run_id") == [
        (ACME, 7, later, "run-2"),
        (GLOBEX, 6, NOW, "run-1"),
    ]


def test_a_later_answer_replaces_its_month_of_days_and_keeps_the_other_month(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 1), _day(ACME, date(2026, 6, 2), 2), _day(ACME, date(2026, 5, 31), 3))

    _write(root, _day(ACME, JUNE, 4), run_id="run-2")

    assert _read(root, DAILY.name, "date", "usage", "run_id") == [
        (date(2026, 5, 31), 3, "run-1"),
        (JUNE, 4, "run-2"),
    ]


def test_a_later_answer_without_days_replaces_its_month_of_days(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 1), _day(ACME, MAY, 2))

    _write(root, answer_frames(ACME, period="current_month"), run_id="run-2")

    assert _read(root, DAILY.name, "date", "run_id") == [(MAY, "run-1")]


def test_a_later_answer_replaces_all_months_of_its_organization(root: Path) -> None:
    _write(root, _month(ACME, date(2026, 4, 1), 1), _month(GLOBEX, MAY, 2))

    _write(root, _month(ACME, MAY, 3), run_id="run-2")

    assert _read(root, MONTHLY.name, "organization_uuid", "month", "usage", "run_id") == [
        (ACME, MAY, 3, "run-2"),
        (GLOBEX, MAY, 2, "run-1"),
    ]


def test_a_later_answer_replaces_the_total_of_its_period(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 1), _day(ACME, MAY, 1), _month(ACME, MAY, 1))

    _write(root, _day(ACME, MAY, 1), run_id="run-2")

    assert _read(root, PERIOD.name, "period", "run_id") == [
        ("current_month", "run-1"),
        ("last_3_months", "run-1"),
        ("last_month", "run-2"),
    ]


def test_days_are_kept_when_only_months_were_fetched(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 1))
    before = snapshot_path(root, DAILY.name, TODAY).read_bytes()

    _write(root, _month(ACME, MAY, 2), run_id="run-2")

    assert snapshot_path(root, DAILY.name, TODAY).read_bytes() == before


def test_another_date_gets_a_snapshot_of_its_own(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 1), _day(GLOBEX, JUNE, 2))

    _write(root, _day(ACME, JUNE, 3), at=TOMORROW)

    assert _read(root, DAILY.name, "usage") == [(1,), (2,)]
    assert _read(root, DAILY.name, "usage", at=TOMORROW.date()) == [(3,)]


def test_a_third_run_keeps_from_the_second_what_that_kept_from_the_first(root: Path) -> None:
    for number, organization in enumerate((ACME, GLOBEX, INITECH), 1):
        _write(root, _day(organization, JUNE, number), run_id=f"run-{number}")

    assert _read(root, DAILY.name, "usage", "run_id") == [(1, "run-1"), (2, "run-2"), (3, "run-3")]


def test_kept_rows_lie_in_the_order_of_their_key(root: Path) -> None:
    days = [date(2026, 6, day) for day in range(1, 16)]
    daily = usage_frame(DAILY, *((each, day, 1, None) for each in (GLOBEX, ACME) for day in days))
    _write(root, {**answer_frames(ACME, GLOBEX), DAILY.name: daily})

    _write(root, _day(INITECH, JUNE, 1), run_id="run-2")

    table = pq.read_table(snapshot_path(root, DAILY.name, TODAY), partitioning=None)
    keys = list(zip(table["organization_uuid"].to_pylist(), table["date"].to_pylist(), strict=True))
    assert keys == [(INITECH, JUNE), *((each, day) for each in (ACME, GLOBEX) for day in days)]


def _many(first: int, count: int) -> Frames:
    organizations = [str(uuid.UUID(int=number)) for number in range(first, first + count)]
    daily = usage_frame(DAILY, *((each, JUNE, 1, None) for each in organizations))
    return {**answer_frames(organizations[0]), DAILY.name: daily}


def test_many_rows_are_written_a_row_group_at_a_time_and_kept_whole(root: Path) -> None:
    _write(root, _many(0, 60_000), _many(60_000, 60_000), _many(120_000, 10))
    with pq.ParquetFile(snapshot_path(root, DAILY.name, TODAY)) as first:
        assert [first.metadata.row_group(each).num_rows for each in range(2)] == [120_000, 10]

    _write(root, _day(ACME, JUNE, 7), run_id="run-2")

    table = pq.read_table(snapshot_path(root, DAILY.name, TODAY), partitioning=None)
    # The organizations of the first rows of each batch are not special: only ACME was fetched anew.
    assert table.num_rows == 120_011
    assert len(set(table["organization_uuid"].to_pylist())) == 120_011


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _damage_a_page(path: Path) -> None:
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(file.metadata.num_row_groups - 1).column(2)
        end = column.data_page_offset + column.total_compressed_size
    content = bytearray(path.read_bytes())
    content[end - 3] ^= 0xFF
    path.write_bytes(content)


def _write_other_columns(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.drop_columns("is_provisional"), path)


def _write_text(path: Path) -> None:
    path.write_text("date,usage\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, "Parquet magic bytes not found"),
        (_damage_a_page, "CRC checksum"),
        (_write_other_columns, "its columns are not those of this version"),
        (_write_text, "Parquet"),
    ],
)
def test_an_unreadable_file_is_set_aside_with_the_reason_and_no_row_of_it_is_kept(
    root: Path,
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    _write(root, _day(GLOBEX, JUNE, 1), _day(INITECH, JUNE, 2))
    path = snapshot_path(root, DAILY.name, TODAY)
    damage(path)
    damaged = path.read_bytes()

    with write_snapshot(root, run_id="run-2", fetched_at=NOW) as snapshot:
        snapshot.add(_day(ACME, JUNE, 3))
        snapshot.publish([])

    (aside,) = snapshot.set_aside
    assert aside.read_bytes() == damaged
    assert aside.is_relative_to(root / ".set-aside")
    told = aside.with_suffix(".reason").read_text(encoding="utf-8")
    assert str(path) in told
    assert reason in told
    assert _read(root, DAILY.name, "organization_uuid", "usage") == [(ACME, 3)]
    assert _read(root, PERIOD.name, "organization_uuid") == [(ACME,), (GLOBEX,), (INITECH,)]
    assert len(list(root.glob("**/*.parquet"))) == 3


def test_no_row_is_kept_from_the_readable_part_of_an_unreadable_file(root: Path) -> None:
    _write(root, _many(0, 60_000), _many(60_000, 60_000), _many(120_000, 10))
    _damage_a_page(snapshot_path(root, DAILY.name, TODAY))

    _write(root, _day(ACME, JUNE, 3), run_id="run-2")

    assert _read(root, DAILY.name, "organization_uuid", "usage") == [(ACME, 3)]


def test_files_that_were_set_aside_before_stay(root: Path) -> None:
    for run in ("run-1", "run-2", "run-3"):
        _write(root, _day(ACME, JUNE, 1), run_id=run)
        _truncate(snapshot_path(root, DAILY.name, TODAY))

    assert len(list((root / ".set-aside").glob("*.unreadable"))) == 2


def test_all_dates_are_read_together(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5))
    _write(root, _day(ACME, JUNE, 6, 100), at=TOMORROW)

    folder = root / DAILY.name
    query = f"SELECT snapshot_date::VARCHAR, date, usage, usage_limit FROM '{folder}/**/*.parquet' ORDER BY 1"
    assert duckdb.execute(query).fetchall() == [("2026-06-16", JUNE, 5, None), ("2026-06-17", JUNE, 6, 100)]
    table = ds.dataset(folder, format="parquet", partitioning="hive").to_table().sort_by("snapshot_date")
    assert table["snapshot_date"].to_pylist() == ["2026-06-16", "2026-06-17"]
    assert table["usage_limit"].to_pylist() == [None, 100]
    assert table.schema.field("usage_limit").type == pa.int64()


def _much() -> Frames:
    """So much that its file would be larger than a small disk."""
    many = [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))) for number in range(2_000)]
    daily = usage_frame(DAILY, *((each, JUNE, number, None) for number, each in enumerate(many)))
    return {**answer_frames(*many), DAILY.name: daily}


@pytest.mark.parametrize("size", [0, 2_000, 30_000])
def test_a_full_disk_is_told_and_the_published_files_stay(root: Path, size: int) -> None:
    _write(root, _day(ACME, JUNE, 5))
    published = {path: (root / path).read_bytes() for path in _every(root)}

    with _disk_full_at(size), pytest.raises(SnapshotError, match="cannot write snapshots under") as failure:
        _write(root, _much(), run_id="run-2")

    assert str(root) in str(failure.value)
    assert {path: (root / path).read_bytes() for path in _every(root)} == published
    assert list(root.glob(".*")) == []


def test_a_disk_that_fills_up_while_earlier_rows_are_kept_leaves_them_where_they_are(root: Path) -> None:
    _write(root, _many(0, 100_000))
    published = {path: (root / path).read_bytes() for path in _every(root)}

    with _disk_full_at(20_000), pytest.raises(SnapshotError):
        _write(root, _day(ACME, JUNE, 5), run_id="run-2")

    assert {path: (root / path).read_bytes() for path in _every(root)} == published


def test_an_unreadable_file_stays_in_its_place_if_it_cannot_be_replaced(root: Path) -> None:
    _write(root, _day(ACME, JUNE, 5))
    path = snapshot_path(root, DAILY.name, TODAY)
    _truncate(path)

    with _disk_full_at(30_000), pytest.raises(SnapshotError):
        _write(root, _much(), run_id="run-2")

    assert path.exists()
    assert not (root / ".set-aside").exists()


def test_an_error_of_the_run_is_not_hidden_by_a_full_disk(root: Path) -> None:
    with (
        _disk_full_at(2_000),
        pytest.raises(ZeroDivisionError),
        write_snapshot(root, run_id="run-1", fetched_at=NOW) as snapshot,
    ):
        _fail_after_adding(snapshot)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file", encoding="utf-8")

    with pytest.raises(SnapshotError, match="cannot write snapshots under"):
        _write(tmp_path / "snapshots")


def test_a_place_that_is_taken_by_something_else_is_told(root: Path) -> None:
    root.mkdir()
    (root / PERIOD.name).write_text("a file", encoding="utf-8")

    with pytest.raises(SnapshotError):
        _write(root, _day(ACME, JUNE, 5))

    assert (root / PERIOD.name).read_text(encoding="utf-8") == "a file"

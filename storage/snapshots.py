"""Parquet snapshots: what was fetched on a date, one file a table, whole or not at all.

    snapshots/<table>/snapshot_date=YYYY-MM-DD/<table>.parquet

Files grow in ``snapshots/.preparing/<run_id>/`` under names that no reader looks for, and appear in their
folder by one rename. A later run of the same date replaces the file, and keeps from it what it did not
fetch anew itself.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import SnapshotError
from storage.shapes import arrow_table, frame_schema, organizations_schema, snapshot_schema
from storage.tables import DAILY, PERIOD, USAGE_TABLES, UsageTable, organizations

# Rows in memory before they are written: a row group of this size compresses well and is read fast.
_ROW_GROUP_ROWS = 100_000
_PREPARING = ".preparing"
_SET_ASIDE = ".set-aside"
# What tells whose rows a batch has fetched: the columns of the period table's key.
_ANSWERS = pa.schema([(name, frame_schema(PERIOD).field(name).type) for name in PERIOD.key])


def snapshot_path(root: Path, table_name: str, snapshot_date: date) -> Path:
    """Where the snapshot of a table and date (UTC) lies."""
    return root / table_name / f"snapshot_date={snapshot_date.isoformat()}" / f"{table_name}.parquet"


@contextmanager
def write_snapshot(root: Path, *, run_id: str, fetched_at: datetime) -> Iterator["SnapshotWriter"]:
    """A writer for the snapshot of ``fetched_at``'s date (UTC); nothing appears unless it is published.

    The caller holds the run lock: what other runs left half-prepared is cleared away.

    Raises:
        SnapshotError: The folder cannot be written.
    """
    preparing = root / _PREPARING
    with _translated_errors(root):
        shutil.rmtree(preparing, ignore_errors=True)
        (preparing / run_id).mkdir(parents=True)
    writer = SnapshotWriter(root, run_id=run_id, fetched_at=fetched_at)
    try:
        yield writer
    finally:
        writer.discard()
        shutil.rmtree(preparing, ignore_errors=True)


class SnapshotWriter:
    """Takes a run's batches as they come, and publishes them as the snapshot of its date."""

    def __init__(self, root: Path, *, run_id: str, fetched_at: datetime) -> None:
        self.set_aside: list[Path] = []
        self._root = root
        self._run_id = run_id
        self._fetched_at = fetched_at
        self._files: dict[str, _GrowingFile] = {}
        self._answers: list[pa.Table] = []
        # By table name, why the date's present file cannot be read.
        self._unreadable: dict[str, Exception] = {}

    def add(self, frames: Mapping[str, pd.DataFrame]) -> None:
        """Adds a batch.

        Args:
            frames: By table name, one for each of ``USAGE_TABLES``, shaped as its ``frame_schema``.

        Raises:
            SnapshotError: The disk is full, or the folder is gone.
        """
        self._answers.append(arrow_table(frames[PERIOD.name][_ANSWERS.names], _ANSWERS))
        with _translated_errors(self._root):
            for usage_table in USAGE_TABLES:
                rows = arrow_table(frames[usage_table.name], frame_schema(usage_table))
                self._file(usage_table.name, snapshot_schema(usage_table)).add(self._as_fetched(rows))

    def publish(self, organization_rows: Sequence[Mapping[str, object]]) -> list[Path]:
        """Lets the snapshot appear, each file by one rename, and returns their paths.

        A table for which nothing was fetched keeps the file it has.

        Args:
            organization_rows: All organizations, by the columns of their table.

        Raises:
            SnapshotError: A file could not be written; those not yet renamed are as they were.
        """
        answers = pa.concat_tables([_ANSWERS.empty_table(), *self._answers])
        with _translated_errors(self._root):
            for usage_table in USAGE_TABLES:
                mine = answers.filter(pc.field("period").isin(list(usage_table.periods)))
                if mine.num_rows:
                    self._keep_earlier(usage_table, mine)
                elif unused := self._files.pop(usage_table.name, None):
                    unused.discard()
            if answers.num_rows:
                self._add_organizations(organization_rows)
            for growing in self._files.values():
                growing.close()
            return [self._rename(name) for name in self._files]

    def discard(self) -> None:
        """Gives up the files that are still in preparation."""
        for growing in self._files.values():
            growing.discard()

    def _add_organizations(self, rows: Sequence[Mapping[str, object]]) -> None:
        schema = organizations_schema()
        stored = pa.schema([schema.field(column.name) for column in organizations.columns])
        known = pa.Table.from_pylist(list(rows), schema=stored)
        self._file(organizations.name, schema).add(self._as_fetched(known))

    def _path(self, table_name: str) -> Path:
        return snapshot_path(self._root, table_name, self._fetched_at.date())

    def _file(self, table_name: str, schema: pa.Schema) -> "_GrowingFile":
        if table_name not in self._files:
            path = self._root / _PREPARING / self._run_id / table_name
            self._files[table_name] = _GrowingFile(path, schema)
        return self._files[table_name]

    def _as_fetched(self, rows: pa.Table) -> pa.Table:
        """The rows with the columns that a snapshot adds."""
        instant = pa.scalar(self._fetched_at, pa.timestamp("us", tz="UTC"))
        if "closes_at" in rows.column_names:
            rows = rows.append_column("is_provisional", pc.greater(rows["closes_at"], instant))
        rows = rows.append_column("fetched_at", pa.repeat(instant, rows.num_rows))
        return rows.append_column("run_id", pa.repeat(pa.scalar(self._run_id), rows.num_rows))

    def _keep_earlier(self, usage_table: UsageTable, answers: pa.Table) -> None:
        """Copies those rows of the date's present file that this run has not fetched anew."""
        path = self._path(usage_table.name)
        if not path.exists():
            return
        growing = self._file(usage_table.name, snapshot_schema(usage_table))
        try:
            kept = _read_not_fetched(usage_table, path, answers)
        except (pa.ArrowException, OSError) as exc:
            self._unreadable[usage_table.name] = exc
            return
        for rows in kept:
            growing.add(rows)

    def _put_aside(self, path: Path, cause: Exception) -> None:
        """An unreadable file is never read as truth, and never destroyed."""
        place = self._root / _SET_ASIDE / f"{path.stem}-{path.parent.name}-{self._run_id}.unreadable"
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
        place.with_suffix(".reason").write_text(f"{path}: {cause}\n", encoding="utf-8")
        self.set_aside.append(place)

    def _rename(self, table_name: str) -> Path:
        path = self._path(table_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if table_name in self._unreadable:
            self._put_aside(path, self._unreadable[table_name])
        self._files[table_name].path.replace(path)
        # The file's name in its folder, and the folder's names in those above it, which may be new.
        for folder in (path.parent, path.parent.parent, self._root):
            _sync(folder)
        return path


class _GrowingFile:
    """A Parquet file in preparation, written a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self._waiting: list[pa.Table] = []
        # Numbers hardly repeat, so a dictionary of them costs more than it saves.
        repeating = [field.name for field in schema if not pa.types.is_int64(field.type)]
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=repeating, write_page_checksum=True
        )

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows.select(self.schema.names).cast(self.schema))
        if sum(table.num_rows for table in self._waiting) >= _ROW_GROUP_ROWS:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()
        _sync(self.path)

    def discard(self) -> None:
        # On a full disk the file cannot even be ended, which is of no interest any more.
        with suppress(OSError, pa.ArrowException):
            self._writer.close()

    def _write(self) -> None:
        rows = pa.concat_tables([self.schema.empty_table(), *self._waiting])
        self._waiting.clear()
        if rows.num_rows:
            self._writer.write_table(rows)


def _read_not_fetched(usage_table: UsageTable, path: Path, answers: pa.Table) -> list[pa.Table]:
    """The rows of a file that none of the answers covers: all of them, or an error."""
    with pq.ParquetFile(path, page_checksum_verification=True) as earlier:
        if not earlier.schema_arrow.equals(snapshot_schema(usage_table)):
            raise pa.ArrowInvalid("its columns are not those of this version")
        return [
            _not_fetched(usage_table, pa.Table.from_batches([batch]), answers)
            for batch in earlier.iter_batches(_ROW_GROUP_ROWS)
        ]


def _not_fetched(usage_table: UsageTable, rows: pa.Table, answers: pa.Table) -> pa.Table:
    """The rows that none of the answers covers."""
    covered_by = ["organization_uuid"]
    if usage_table is DAILY:
        # An answer covers a month's days, whether or not it names them all.
        covered_by.append("month")
        rows = rows.append_column("month", _month(rows["date"]))
        answers = answers.append_column("month", _month(answers["period_from"]))
    if usage_table.has_period:
        covered_by.append("period")
    kept = rows.join(answers.select(covered_by), keys=covered_by, join_type="left anti", use_threads=False)
    return kept.sort_by([(name, "ascending") for name in usage_table.key])


def _month(days: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.floor_temporal(days, unit="month")


def _sync(path: Path) -> None:
    """Makes sure that the file, or the names in the folder, survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as exc:
        raise SnapshotError(f"cannot write snapshots under {root}: {exc}") from exc

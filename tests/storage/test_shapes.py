"""Frames, tables and Parquet agree on every column."""

from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from storage.shapes import (
    arrow_field,
    arrow_table,
    build_frame,
    frame_schema,
    organizations_schema,
    snapshot_schema,
)
from storage.tables import DAILY, MONTHLY, PERIOD, USAGE_TABLES, UsageTable, metadata, organizations
from tests.storage.frames import ACME, usage_frame

BOOKKEEPING = {"first_seen_at", "changed_at", "run_id"}
tables = pytest.mark.parametrize("usage_table", USAGE_TABLES, ids=lambda usage_table: usage_table.name)


@tables
def test_a_frame_has_the_tables_columns_except_its_bookkeeping(usage_table: UsageTable) -> None:
    of_the_table = {column.name for column in usage_table.table.columns} - BOOKKEEPING

    assert set(frame_schema(usage_table).names) == of_the_table | {"period", "closes_at"}


@tables
def test_a_snapshot_has_the_tables_columns_except_its_bookkeeping(usage_table: UsageTable) -> None:
    of_the_table = [column.name for column in usage_table.table.columns if column.name not in BOOKKEEPING]
    added = ["is_provisional", "fetched_at", "run_id"]

    assert snapshot_schema(usage_table).names == of_the_table + added


@tables
def test_frame_and_snapshot_agree_on_types_and_nulls(usage_table: UsageTable) -> None:
    frame, snapshot = frame_schema(usage_table), snapshot_schema(usage_table)

    for column in (*usage_table.key, *usage_table.measures):
        assert snapshot.field(column).equals(frame.field(column), check_metadata=True)
        assert snapshot.field(column).nullable == usage_table.table.c[column].nullable


def test_the_daily_snapshot_has_exactly_these_types() -> None:
    assert snapshot_schema(DAILY).equals(
        pa.schema(
            [
                pa.field("organization_uuid", pa.string(), nullable=False),
                pa.field("date", pa.date32(), nullable=False),
                pa.field("usage", pa.int64(), nullable=False),
                pa.field("usage_limit", pa.int64()),
                pa.field("is_provisional", pa.bool_(), nullable=False),
                pa.field("fetched_at", pa.timestamp("us", tz="UTC"), nullable=False),
                pa.field("run_id", pa.string(), nullable=False),
            ]
        )
    )


@pytest.mark.parametrize(
    "schema",
    [*map(snapshot_schema, USAGE_TABLES), organizations_schema()],
    ids=[*(usage_table.name for usage_table in USAGE_TABLES), "organizations"],
)
def test_every_column_of_a_snapshot_is_described(schema: pa.Schema) -> None:
    assert schema.metadata[b"description"]
    for field in schema:
        assert field.metadata[b"description"], field.name


def test_the_organizations_snapshot_has_all_columns_of_the_table() -> None:
    of_the_table = [column.name for column in organizations.columns]

    assert organizations_schema().names == [*of_the_table, "fetched_at", "run_id"]


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_every_table_and_column_says_what_it_means(table: sa.Table) -> None:
    assert table.comment
    assert [column.name for column in table.columns if not column.comment] == []


def test_a_column_without_a_declared_arrow_type_is_refused() -> None:
    with pytest.raises(TypeError, match="no Arrow type is declared"):
        arrow_field(sa.Column("duration", sa.Double))


@pytest.mark.parametrize("rows", [[], [(ACME, date(2026, 6, 1), 1, None)], [(ACME, date(2026, 6, 1), 1, 2)]])
@tables
def test_dtypes_do_not_depend_on_the_values(
    usage_table: UsageTable, rows: list[tuple[str, date, int, int | None]]
) -> None:
    dtypes = usage_frame(usage_table, *rows).dtypes.astype(str).to_dict()

    assert dtypes.pop("organization_uuid") == dtypes.pop("period") == "str"
    assert dtypes.pop("closes_at") == "datetime64[us, UTC]"
    assert dtypes.pop("usage_limit") == "Int64"
    assert dtypes.pop(usage_table.bucket) == "date32[day][pyarrow]"
    if usage_table is PERIOD:
        assert dtypes.pop("period_to") == "date32[day][pyarrow]"
    assert set(dtypes.values()) == {"int64"}


@pytest.mark.parametrize("number", [0, 2**53 + 1, 2**63 - 1])
def test_large_numbers_pass_through_a_frame_unrounded(number: int) -> None:
    frame = usage_frame(MONTHLY, (ACME, date(2026, 6, 1), number, number), (ACME, date(2026, 5, 1), 1, None))

    rows = arrow_table(frame, frame_schema(MONTHLY)).to_pylist()

    assert (rows[0]["usage"], rows[0]["usage_limit"], rows[1]["usage_limit"]) == (number, number, None)


def test_a_value_that_does_not_fit_is_refused() -> None:
    frame = usage_frame(DAILY, (ACME, date(2026, 6, 1), 1, None)).assign(usage=[1.5])

    with pytest.raises(pa.ArrowInvalid):
        arrow_table(frame, frame_schema(DAILY))


def test_instants_of_a_frame_are_microseconds() -> None:
    instant = datetime(2026, 6, 16, 5, 15, 0, 1, tzinfo=UTC)
    schema = pa.schema([pa.field("closes_at", pa.timestamp("us", tz="UTC"))])

    frame = build_frame({"closes_at": [instant]}, schema)

    assert frame["closes_at"].tolist() == [pd.Timestamp(instant)]
    assert arrow_table(frame, schema).to_pylist() == [{"closes_at": instant}]

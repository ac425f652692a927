"""Frames and Arrow schemas, derived from the tables: nothing is inferred from data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import BigInteger, Column, Date, Integer, String

from storage.tables import UsageTable, organizations
from storage.types import UtcDateTime

_INSTANT = pa.timestamp("us", tz="UTC")


def arrow_field(column: Column[Any]) -> pa.Field:
    """The Arrow field of a column: its type, whether it may be null, and its comment as description."""
    return pa.field(
        column.name,
        _arrow_type(column),
        nullable=bool(column.nullable),
        metadata={"description": column.comment or ""},
    )


def _arrow_type(column: Column[Any]) -> pa.DataType:
    match column.type:
        case UtcDateTime():
            return _INSTANT
        case Date():
            return pa.date32()
        case BigInteger() | Integer():
            return pa.int64()
        case String():
            return pa.string()
        case other:
            raise TypeError(f"no Arrow type is declared for {other!r} (column {column})")


def frame_schema(usage_table: UsageTable) -> pa.Schema:
    """Shape of a frame on its way into a table.

    The key, the period whose answer said it, the measures, and ``closes_at``: the instant (UTC) from which
    the bucket can no longer grow.
    """
    table = usage_table.table
    provenance = [] if usage_table.has_period else [pa.field("period", pa.string(), nullable=False)]
    return pa.schema(
        [
            *(arrow_field(table.c[name]) for name in usage_table.key),
            *provenance,
            *(arrow_field(table.c[name]) for name in usage_table.measures),
            pa.field("closes_at", _INSTANT, nullable=False),
        ]
    )


def snapshot_schema(usage_table: UsageTable) -> pa.Schema:
    """Shape of a table's Parquet snapshot: key, measures, and when and by which run they were fetched."""
    table = usage_table.table
    return pa.schema(
        [
            *(arrow_field(table.c[name]) for name in (*usage_table.key, *usage_table.measures)),
            pa.field(
                "is_provisional",
                pa.bool_(),
                nullable=False,
                metadata={
                    "description": "The day, month or period was not over yet: the value may still grow"
                },
            ),
            *_provenance(),
        ],
        metadata={"description": table.comment or ""},
    )


def organizations_schema() -> pa.Schema:
    """Shape of the Parquet snapshot of the organizations."""
    return pa.schema(
        [*(arrow_field(column) for column in organizations.columns), *_provenance("wrote this file")],
        metadata={"description": organizations.comment or ""},
    )


def _provenance(of: str = "fetched this row") -> list[pa.Field]:
    return [
        pa.field(
            "fetched_at",
            _INSTANT,
            nullable=False,
            metadata={"description": f"Start of the run that {of} (UTC)"},
        ),
        pa.field(
            "run_id",
            pa.string(),
            nullable=False,
            metadata={"description": f"The run that {of}, see export_runs"},
        ),
    ]


def build_frame(columns: Mapping[str, Sequence[object]], schema: pa.Schema) -> pd.DataFrame:
    """A frame with exactly the schema's columns and dtypes, whatever the values (none, one, all null).

    Text is ``str``, whole numbers ``int64`` or, where null is allowed, ``Int64``, days ``date32[day]``,
    instants ``datetime64[us, UTC]``.
    """
    return pd.DataFrame(
        {field.name: pd.array(columns[field.name], dtype=frame_dtype(field)) for field in schema}
    )


def frame_dtype(field: pa.Field) -> Any:  # noqa: ANN401 # pandas has no common type for its dtypes
    """The pandas dtype of an Arrow field."""
    if pa.types.is_int64(field.type):
        return pd.Int64Dtype() if field.nullable else "int64"
    if pa.types.is_date32(field.type):
        return pd.ArrowDtype(field.type)
    if pa.types.is_timestamp(field.type):
        return pd.DatetimeTZDtype("us", "UTC")
    return "str"


def arrow_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The frame as Arrow, cast to the schema; a value that does not fit raises ``pyarrow.ArrowInvalid``."""
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)

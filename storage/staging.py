"""Loading a batch into a temporary table, from where whole sets of rows are compared and merged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from storage.errors import InvalidFrameError
from storage.shapes import arrow_table, frame_schema
from storage.tables import UsageTable
from storage.types import UtcDateTime, ascii_text


@contextmanager
def staged(connection: sa.Connection, usage_table: UsageTable, frame: pd.DataFrame) -> Iterator[sa.Table]:
    """The frame as a temporary table of the connection's transaction, for as long as the block lasts.

    Args:
        connection: In a transaction; nothing is committed.
        usage_table: The table that the frame is meant for.
        frame: Shaped as ``frame_schema(usage_table)``.

    Raises:
        InvalidFrameError: A key is null or repeated, or a column is missing, foreign or of another type.
    """
    rows = _checked(usage_table, frame).to_pylist()
    stage = _stage_table(usage_table)
    # MariaDB keeps the table of a batch that was rolled back, PostgreSQL and SQLite do not.
    _drop(connection, stage)
    connection.execute(CreateTable(stage))
    if rows:
        connection.execute(stage.insert(), rows)
    yield stage
    _drop(connection, stage)


def _checked(usage_table: UsageTable, frame: pd.DataFrame) -> pa.Table:
    schema = frame_schema(usage_table)
    if list(frame.columns) != schema.names:
        raise InvalidFrameError(
            f"a frame for {usage_table.name} has the columns {list(frame.columns)}, not {schema.names}"
        )
    key = list(usage_table.key)
    nulls = frame[key].isna().any()
    if nulls.any():
        raise InvalidFrameError(
            f"a frame for {usage_table.name} has null in its key ({', '.join(nulls[nulls].index)})"
        )
    repeated = frame.duplicated(subset=key)
    if repeated.any():
        first = frame.loc[repeated, key].iloc[0].to_dict()
        raise InvalidFrameError(
            f"a frame for {usage_table.name} has {repeated.sum()} repeated keys, the first {first}"
        )
    try:
        return arrow_table(frame, schema)
    except (pa.ArrowException, ValueError, OverflowError) as exc:
        # ValueError: null where none may be. OverflowError: beyond 64 bits.
        raise InvalidFrameError(f"a frame for {usage_table.name} does not fit its columns: {exc}") from exc


def _stage_table(usage_table: UsageTable) -> sa.Table:
    table = usage_table.table
    copied = [sa.Column(name, table.c[name].type, primary_key=True) for name in usage_table.key]
    if not usage_table.has_period:
        copied.append(sa.Column("period", ascii_text(16), nullable=False))
    copied += [
        sa.Column(name, table.c[name].type, nullable=table.c[name].nullable) for name in usage_table.measures
    ]
    return sa.Table(
        f"stage_{usage_table.name}",
        sa.MetaData(),
        *copied,
        sa.Column("closes_at", UtcDateTime, nullable=False),
        prefixes=["TEMPORARY"],
    )


def _drop(connection: sa.Connection, stage: sa.Table) -> None:
    """Drops the temporary table, if there is one, and nothing else whatever its name."""
    match connection.dialect.name:
        case "postgresql":
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS pg_temp.{stage.name}")
        case "sqlite":
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{stage.name}")
        case _:
            # Without the word TEMPORARY, MariaDB would commit the transaction first.
            connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {stage.name}")

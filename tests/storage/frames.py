"""Frames as the export builds them, said in few words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import sqlalchemy as sa

from storage.shapes import build_frame, frame_schema
from storage.tables import DAILY, MONTHLY, PERIOD, UsageTable

# A Tuesday in the middle of a month whose last day lies ahead.
NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
ACME = "0a5c1b8e-5a6f-4d5e-9a51-3f0f53c1a001"
GLOBEX = "9b1d4a3c-7c2e-4f0a-8e0d-2f6a1c9e0002"

# Organization, bucket, usage, limit.
Row = tuple[str, date, int, int | None]


def usage_frame(
    usage_table: UsageTable, *rows: Row, period: str | None = None, **also: object
) -> pd.DataFrame:
    """A frame for a table, as if all its rows had come in the answers to one period.

    Args:
        usage_table: Where it belongs.
        rows: What differs between its rows.
        period: The period; by default the first of those that fill the table.
        also: Values of other measures, the same in all rows.
    """
    buckets = [bucket for _, bucket, _, _ in rows]
    columns: Mapping[str, Sequence[object]] = {
        "organization_uuid": [organization for organization, _, _, _ in rows],
        "period": [period or usage_table.periods[0]] * len(rows),
        usage_table.bucket: buckets,
        "period_to": [month_after(bucket) - timedelta(days=1) for bucket in buckets],
        "usage": [usage for _, _, usage, _ in rows],
        "usage_limit": [limit for _, _, _, limit in rows],
        "active_flows": [3] * len(rows),
        "history_usage": [7] * len(rows),
        "closes_at": [closes_at(usage_table, bucket) for bucket in buckets],
        **{name: [value] * len(rows) for name, value in also.items()},
    }
    return build_frame(columns, frame_schema(usage_table))


def answer_frames(*organizations: str, period: str = "current_month") -> Mapping[str, pd.DataFrame]:
    """A batch for the snapshot: the answers of organizations to a period, without days or months."""
    first = {"current_month": date(2026, 6, 1), "last_month": date(2026, 5, 1)}.get(period, date(2026, 4, 1))
    totals = usage_frame(PERIOD, *((each, first, 10, None) for each in organizations), period=period)
    return {
        DAILY.name: usage_frame(DAILY),
        MONTHLY.name: usage_frame(MONTHLY),
        PERIOD.name: totals,
    }


def month_after(day: date) -> date:
    """The first day of the next month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def closes_at(usage_table: UsageTable, bucket: date) -> datetime:
    """The instant from which the bucket can no longer grow."""
    end = bucket + timedelta(days=1) if usage_table is DAILY else month_after(bucket)
    return datetime(end.year, end.month, end.day, tzinfo=UTC)


def stored_usage(
    connection: sa.Connection, usage_table: UsageTable
) -> dict[tuple[str, date], tuple[int, int | None]]:
    """What the table holds: usage and limit by organization and bucket."""
    columns = usage_table.table.c
    rows = connection.execute(
        sa.select(columns.organization_uuid, columns[usage_table.bucket], columns.usage, columns.usage_limit)
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}

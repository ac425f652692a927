"""From Pipefy's answers to frames: pure, without network, clock or files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from jobs.pipefy.models import UsageStats, parse_label
from jobs.pipefy.queries import UsageQuestion
from storage.shapes import build_frame, frame_schema
from storage.tables import DAILY, MONTHLY, PERIOD, UsageTable

FramesByTable = Mapping[str, pd.DataFrame]


def flatten_usage(answers: Sequence[tuple[UsageQuestion, UsageStats]]) -> FramesByTable:
    """The history nodes and totals of a batch of answers, as one frame for each usage table.

    Args:
        answers: Questions with their validated answers, in the order in which Pipefy answered them.

    Returns:
        By table name, frames with the columns and dtypes of ``storage.shapes.frame_schema``, also when there
        is nothing to hold. If two answers name the same bucket, as they can while a month ends, the later
        answer's value stands.
    """
    return {
        DAILY.name: _flatten_history(DAILY, [each for each in answers if each[0].period.is_daily]),
        MONTHLY.name: _flatten_history(MONTHLY, [each for each in answers if not each[0].period.is_daily]),
        PERIOD.name: _flatten_periods(answers),
    }


def _flatten_history(
    usage_table: UsageTable, answers: Sequence[tuple[UsageQuestion, UsageStats]]
) -> pd.DataFrame:
    """One row for each node."""
    nodes = [
        (question.organization_uuid, question.period.value, node)
        for question, stats in answers
        for node in stats.history.nodes
    ]
    buckets = [parse_label(node.date, is_daily=usage_table is DAILY) for _, _, node in nodes]
    close = _day_after if usage_table is DAILY else _month_after
    return _frame(
        usage_table,
        {
            "organization_uuid": [organization_uuid for organization_uuid, _, _ in nodes],
            "period": [period for _, period, _ in nodes],
            usage_table.bucket: buckets,
            "usage": [node.usage for _, _, node in nodes],
            "usage_limit": [node.limit for _, _, node in nodes],
            "closes_at": [_midnight(close(bucket)) for bucket in buckets],
        },
    )


def _flatten_periods(answers: Sequence[tuple[UsageQuestion, UsageStats]]) -> pd.DataFrame:
    """One row for each answer."""
    ends = [stats.filter_date.last_day for _, stats in answers]
    return _frame(
        PERIOD,
        {
            "organization_uuid": [question.organization_uuid for question, _ in answers],
            "period": [question.period.value for question, _ in answers],
            "period_from": [stats.filter_date.first_day for _, stats in answers],
            "period_to": ends,
            "usage": [stats.tasks_consumed.usage for _, stats in answers],
            "usage_limit": [stats.tasks_consumed.limit for _, stats in answers],
            "active_flows": [stats.active_flows for _, stats in answers],
            "history_usage": [sum(node.usage for node in stats.history.nodes) for _, stats in answers],
            # `to` may be the time of the call; the period grows until its month is over.
            "closes_at": [_midnight(_month_after(end)) for end in ends],
        },
    )


def _frame(usage_table: UsageTable, columns: dict[str, list[Any]]) -> pd.DataFrame:
    frame = build_frame(columns, frame_schema(usage_table))
    return frame.drop_duplicates(list(usage_table.key), keep="last", ignore_index=True)


def _day_after(day: date) -> date:
    return day + timedelta(days=1)


def _month_after(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

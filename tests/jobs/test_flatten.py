import copy
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import OrganizationError
from jobs.flatten import flatten_usage
from jobs.periods import Period
from jobs.pipefy.models import UsageStats, parse_usage_stats
from jobs.pipefy.queries import UsageQuestion
from jobs.sandbox import SAMPLE_STATS

DAILY, MONTHLY, PERIOD = "integrations_usage_daily", "integrations_usage_monthly", "integrations_usage_period"
DTYPES = {
    DAILY: {
        "organization_uuid": "str",
        "date": "date32[day][pyarrow]",
        "period": "str",
        "usage": "int64",
        "usage_limit": "Int64",
        "closes_at": "datetime64[us, UTC]",
    },
    MONTHLY: {
        "organization_uuid": "str",
        "month": "date32[day][pyarrow]",
        "period": "str",
        "usage": "int64",
        "usage_limit": "Int64",
        "closes_at": "datetime64[us, UTC]",
    },
    PERIOD: {
        "organization_uuid": "str",
        "period": "str",
        "period_from": "date32[day][pyarrow]",
        "period_to": "date32[day][pyarrow]",
        "usage": "int64",
        "usage_limit": "Int64",
        "active_flows": "int64",
        "history_usage": "int64",
        "closes_at": "datetime64[us, UTC]",
    },
}
UUID = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"
OTHER = "04b388b8-753b-444e-8204-808e0547c864"
Buckets = dict[str, tuple[int, int | None]]


def question(period: Period = Period.CURRENT_MONTH, uuid: str = UUID) -> UsageQuestion:
    return UsageQuestion(uuid, period)


def stats(asked: UsageQuestion, buckets: Buckets, window: tuple[str, str], **totals: Any) -> UsageStats:  # noqa: ANN401 # what JSON holds
    """An answer with these buckets (usage and limit by label), between these days."""
    return parse_usage_stats(
        {
            "tasksConsumed": {"usage": totals.get("usage", 0), "limit": totals.get("limit")},
            "activeFlows": totals.get("active_flows", 0),
            "filterDate": {"from": f"{window[0]}T00:00:00Z", "to": f"{window[1]}T23:59:59Z"},
            "history": {
                "nodes": [
                    {"date": label, "usage": usage, "limit": limit}
                    for label, (usage, limit) in buckets.items()
                ]
            },
        },
        asked,
    )


def june(buckets: Buckets, uuid: str = UUID, **totals: Any) -> tuple[UsageQuestion, UsageStats]:  # noqa: ANN401 # what JSON holds
    asked = question(uuid=uuid)
    return asked, stats(asked, buckets, ("2026-06-01", "2026-06-30"), **totals)


def quarter(buckets: Buckets) -> tuple[UsageQuestion, UsageStats]:
    asked = question(Period.LAST_3_MONTHS)
    return asked, stats(asked, buckets, ("2026-04-01", "2026-06-30"))


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """The rows, null as None."""
    picked = frame[list(columns)].astype(object)
    return [tuple(row) for row in picked.where(picked.notna(), None).itertuples(index=False)]


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [june({})],
        [june({"2026-06-01": (1, None)})],
        [june({"2026-06-01": (1, None), "2026-06-02": (2, None)})],
        [june({"2026-06-01": (1, 5), "2026-06-02": (2, None)}), quarter({"2026-05": (1, None)})],
        [june({"2026-06-01": (2**63 - 1, 2**63 - 1)}, usage=2**63 - 1, limit=2**63 - 1)],
    ],
    ids=["empty", "no-node", "single", "all-null", "mixed", "largest"],
)
def test_the_frames_have_their_columns_and_dtypes_whatever_they_hold(
    answers: Sequence[tuple[UsageQuestion, UsageStats]],
) -> None:
    frames = flatten_usage(answers)
    assert {name: dtypes(frame) for name, frame in frames.items()} == DTYPES
    assert {type(frame.index) for frame in frames.values()} == {pd.RangeIndex}


def test_each_node_is_a_row_and_each_answer_a_total() -> None:
    frames = flatten_usage(
        [june({"2026-06-02": (64, None), "2026-06-01": (120, 500)}, usage=1280, limit=500, active_flows=7)]
    )
    assert rows(frames[DAILY], "organization_uuid", "date", "period", "usage", "usage_limit") == [
        (UUID, date(2026, 6, 2), "current_month", 64, None),
        (UUID, date(2026, 6, 1), "current_month", 120, 500),
    ]
    assert rows(frames[MONTHLY], "usage") == []
    assert rows(
        frames[PERIOD],
        *("organization_uuid", "period", "period_from", "period_to"),
        *("usage", "usage_limit", "active_flows", "history_usage"),
    ) == [(UUID, "current_month", date(2026, 6, 1), date(2026, 6, 30), 1280, 500, 7, 184)]


def test_months_never_stand_among_days() -> None:
    frames = flatten_usage([quarter({"2026-04": (5, None), "2026-06": (7, 9)})])
    assert rows(frames[DAILY], "usage") == []
    assert rows(frames[MONTHLY], "organization_uuid", "month", "period", "usage", "usage_limit") == [
        (UUID, date(2026, 4, 1), "last_3_months", 5, None),
        (UUID, date(2026, 6, 1), "last_3_months", 7, 9),
    ]


@pytest.mark.parametrize("usage", [2**53 + 1, 2**63 - 1])
def test_large_numbers_are_exact_with_nulls_beside_them(usage: int) -> None:
    answers = [june({"2026-06-01": (usage, usage), "2026-06-02": (0, None)}, usage=usage, limit=usage)]
    frames = flatten_usage([*answers, june({}, uuid=OTHER)])
    assert rows(frames[DAILY], "usage", "usage_limit") == [(usage, usage), (0, None)]
    assert rows(frames[PERIOD], "usage", "usage_limit", "history_usage") == [
        (usage, usage, usage),
        (0, None, 0),
    ]


@pytest.mark.parametrize(
    ("label", "closes_at"),
    [("2026-06-15", datetime(2026, 6, 16, tzinfo=UTC)), ("2026-06-30", datetime(2026, 7, 1, tzinfo=UTC))],
)
def test_a_day_closes_at_its_midnight_utc(label: str, closes_at: datetime) -> None:
    frames = flatten_usage([june({label: (1, None)})])
    assert rows(frames[DAILY], "closes_at") == [(closes_at,)]


@pytest.mark.parametrize(
    ("window", "label", "closes_at"),
    [
        (("2026-04-01", "2026-06-30"), "2026-05", datetime(2026, 6, 1, tzinfo=UTC)),
        (("2025-11-01", "2026-01-31"), "2025-12", datetime(2026, 1, 1, tzinfo=UTC)),
        (("2999-10-01", "2999-12-31"), "2999-12", datetime(3000, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_month_closes_with_the_next(window: tuple[str, str], label: str, closes_at: datetime) -> None:
    asked = question(Period.LAST_3_MONTHS)
    frames = flatten_usage([(asked, stats(asked, {label: (1, None)}, window))])
    assert rows(frames[MONTHLY], "closes_at") == [(closes_at,)]


@pytest.mark.parametrize("last", ["2026-06-30", "2026-06-16", "2026-06-01"])
def test_a_period_closes_when_its_last_month_is_over_wherever_its_window_ends(last: str) -> None:
    asked = question()
    frames = flatten_usage([(asked, stats(asked, {}, ("2026-06-01", last)))])
    assert rows(frames[PERIOD], "period_to", "closes_at") == [
        (date.fromisoformat(last), datetime(2026, 7, 1, tzinfo=UTC))
    ]


def test_of_two_answers_that_name_a_bucket_the_later_stands() -> None:
    asked = question(Period.LAST_MONTH)
    window = ("2026-06-01", "2026-06-30")
    later = asked, stats(asked, {"2026-06-01": (2, None), "2026-06-03": (3, None)}, window)
    frames = flatten_usage([june({"2026-06-01": (1, 9), "2026-06-02": (5, 9)}), later])
    assert rows(frames[DAILY], "date", "period", "usage", "usage_limit") == [
        (date(2026, 6, 2), "current_month", 5, 9),
        (date(2026, 6, 1), "last_month", 2, None),
        (date(2026, 6, 3), "last_month", 3, None),
    ]
    assert isinstance(frames[DAILY].index, pd.RangeIndex)


def test_the_same_bucket_of_two_organizations_is_two_rows() -> None:
    buckets: Buckets = {"2026-06-01": (1, None)}
    frames = flatten_usage([june(buckets), june(buckets, uuid=OTHER)])
    assert rows(frames[DAILY], "organization_uuid") == [(UUID,), (OTHER,)]


def test_flattening_changes_nothing_and_says_the_same_twice() -> None:
    answers = [june({"2026-06-01": (1, None)}), quarter({"2026-05": (1, 2)})]
    before = copy.deepcopy(answers)
    first, second = flatten_usage(answers), flatten_usage(answers)
    assert answers == before
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[name])


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -1, 0])
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["2026-06-15", "2026-06", "2026-06-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-W25-1"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(holder: object) -> list[tuple[Any, Any]]:
    """Every place inside a JSON value, as its holder and the key or index there."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(holder, dict):
        inside = [(holder, key) for key in holder]
    elif isinstance(holder, list):
        inside = [(holder, index) for index in range(len(holder))]
    return inside + [deeper for each, key in inside for deeper in places(each[key])]


@st.composite
def mutated_answers(draw: st.DrawFn) -> object:
    """The documentation's sample with other buckets, and some things in it changed or gone."""
    days = draw(st.lists(st.integers(1, 30), unique=True, max_size=4))
    counts = st.sampled_from([0, 1, 2**53 + 1, 2**62, 2**63 - 1]) | st.integers(0, 2**63)
    answer: dict[str, Any] = copy.deepcopy(SAMPLE_STATS)
    answer["history"] = {
        "nodes": [
            {"date": f"2026-06-{day:02}", "usage": draw(counts), "limit": draw(st.none() | counts)}
            for day in days
        ]
    }
    for _ in range(draw(st.integers(0, 2))):
        found = places(answer)
        if found:
            holder, key = draw(st.sampled_from(found))
            if draw(st.booleans()):
                holder[key] = draw(values)
            else:
                del holder[key]
    return answer


@given(answer=mutated_answers() | values, period=st.sampled_from(Period))
def test_an_answer_is_either_refused_or_flattened_exactly(answer: object, period: Period) -> None:
    asked = question(period)
    try:
        found = parse_usage_stats(answer, asked)
    except OrganizationError as exc:
        assert exc.code == "INVALID_ANSWER"  # noqa: PT017 # either is right, so there is nothing to expect
        return
    frames = flatten_usage([(asked, found)])
    history = DAILY if period.is_daily else MONTHLY
    nodes = found.history.nodes
    assert {name: dtypes(frame) for name, frame in frames.items()} == DTYPES
    assert rows(frames[history], "usage", "usage_limit") == [(node.usage, node.limit) for node in nodes]
    total = found.tasks_consumed
    assert rows(frames[PERIOD], "usage", "usage_limit", "history_usage") == [
        (total.usage, total.limit, sum(node.usage for node in nodes))
    ]

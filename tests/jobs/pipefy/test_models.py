import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.errors import OrganizationError
from jobs.periods import Period
from jobs.pipefy.models import KnownOrganization, parse_label, parse_organization, parse_usage_stats
from jobs.pipefy.queries import UsageQuestion
from jobs.sandbox import SAMPLE_STATS, Sandbox

UUID = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"
DAILY = UsageQuestion(UUID, Period.CURRENT_MONTH)
MONTHLY = UsageQuestion(UUID, Period.LAST_3_MONTHS)
NESTED: Any = json.loads("[" * 150 + "]" * 150)


def sample(path: str = "", value: object = None) -> Any:  # noqa: ANN401 # what JSON holds
    """The documentation's sample answer, with another value at a path."""
    answer: Any = copy.deepcopy(SAMPLE_STATS)
    if path:
        *parents, last = (int(part) if part.isdecimal() else part for part in path.split("."))
        holder = answer
        for parent in parents:
            holder = holder[parent]
        holder[last] = value
    return answer


def monthly(*labels: str, first: str = "2026-04-01T00:00:00Z") -> Any:  # noqa: ANN401 # what JSON holds
    answer = sample("history.nodes", [{"date": label, "usage": 1, "limit": None} for label in labels])
    answer["filterDate"]["from"] = first
    return answer


def refusal(answer: object, question: UsageQuestion = DAILY) -> str:
    with pytest.raises(OrganizationError) as caught:
        parse_usage_stats(answer, question)
    assert caught.value.code == "INVALID_ANSWER"
    assert len(str(caught.value)) < 500
    return str(caught.value)


def test_the_documented_sample_is_read_as_it_stands() -> None:
    stats = parse_usage_stats(sample(), DAILY)
    assert (stats.tasks_consumed.usage, stats.tasks_consumed.limit, stats.active_flows) == (1280, None, 7)
    assert stats.filter_date.from_ == datetime(2026, 6, 1, tzinfo=UTC)
    assert stats.filter_date.to == datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert [(node.date, node.usage, node.limit) for node in stats.history.nodes] == [
        ("2026-06-01", 120, None),
        ("2026-06-02", 64, None),
    ]


@pytest.mark.parametrize("period", list(Period))
def test_what_the_stand_in_answers_is_valid(period: Period) -> None:
    sandbox = Sandbox(today=date(2026, 6, 16), organizations=3)
    for organization in sandbox.organizations:
        stats = sandbox.stats(organization.uuid, period.value)
        parse_usage_stats(stats, UsageQuestion(organization.uuid, period))


@pytest.mark.parametrize(
    "value",
    [
        "120",
        "",
        1.0,
        1.5,
        True,
        False,
        -1,
        2**63,
        10**400,
        None,
        [],
        [1],
        {},
        float("nan"),
        float("inf"),
        NESTED,
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("path", ["tasksConsumed.usage", "activeFlows", "history.nodes.1.usage"])
def test_a_count_is_a_whole_number_that_a_table_can_hold(path: str, value: object) -> None:
    assert refusal(sample(path, value)).startswith(f"{path} is ")


@pytest.mark.parametrize("value", ["120", 1.0, True, -1, 2**63, [], {}, float("nan")])
@pytest.mark.parametrize("path", ["tasksConsumed.limit", "history.nodes.0.limit"])
def test_a_limit_is_a_whole_number_or_null(path: str, value: object) -> None:
    assert refusal(sample(path, value)).startswith(f"{path} is ")


@pytest.mark.parametrize("value", [0, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize(
    "path", ["tasksConsumed.usage", "tasksConsumed.limit", "activeFlows", "history.nodes.0.limit"]
)
def test_a_whole_number_is_kept_exactly(path: str, value: int) -> None:
    held: Any = parse_usage_stats(sample(path, value), DAILY).model_dump(by_alias=True)
    for part in path.split("."):
        held = held[int(part) if part.isdecimal() else part]
    assert held == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        1780272000,
        True,
        "",
        "2026-06-01",
        "2026-06-01T00:00:00",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-06-31T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1999-12-31T00:00:00Z",
        "3000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "\ud800",
        {},
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["filterDate.from", "filterDate.to"])
def test_an_instant_is_iso_8601_with_a_zone_in_a_plausible_year(path: str, value: object) -> None:
    assert refusal(sample(path, value)).startswith(f"{path} is ")


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    stats = parse_usage_stats(sample("filterDate.from", "2026-06-01T02:00:00+02:00"), DAILY)
    assert stats.filter_date.from_ == datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("path", ["tasksConsumed", "activeFlows", "filterDate", "history"])
@pytest.mark.parametrize("value", [None, [], "text", 5.5])
def test_a_part_of_the_answer_is_never_guessed(path: str, value: object) -> None:
    assert refusal(sample(path, value)).startswith(f"{path} is ")


@pytest.mark.parametrize("path", ["tasksConsumed", "activeFlows", "filterDate", "history"])
def test_a_part_of_the_answer_is_never_missing(path: str) -> None:
    answer = sample()
    del answer[path]
    assert refusal(answer).startswith(f"{path} is ")


@pytest.mark.parametrize("field", ["date", "usage", "limit"])
def test_a_node_lacks_nothing(field: str) -> None:
    answer = sample()
    del answer["history"]["nodes"][1][field]
    assert refusal(answer).startswith(f"history.nodes.1.{field} is ")


@pytest.mark.parametrize("value", [None, {}, "text", [None], [[]], ["2026-06-01"]])
def test_nodes_are_a_list_of_objects(value: object) -> None:
    assert refusal(sample("history.nodes", value)).startswith("history.nodes")


@pytest.mark.parametrize("value", [[], "text", 5, True, NESTED])
def test_an_answer_is_an_object(value: object) -> None:
    assert refusal(value).startswith("the answer is ")


def test_the_first_of_many_errors_is_told_and_the_rest_counted() -> None:
    answer = sample("history.nodes", [{"date": 5, "usage": -1, "limit": -1}] * 10_000)
    assert refusal(answer).startswith("history.nodes.0.date is '5': ")
    assert "(and 29999 more)" in refusal(answer)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "2026-06",
        "2026-06-00",
        "2026-06-31",
        "2026-6-1",
        "06/01/2026",
        "2026-06-1 ",
        "20260601",
        "2026-W23-1",
        "2026-06-01T00:00:00Z",
        "\uff12026-06-01",
        "2026-06-01\x00",
    ],
)
def test_a_label_of_a_day_is_a_day(label: str) -> None:
    assert "is no yyyy-MM-dd" in refusal(sample("history.nodes.0.date", label))


@pytest.mark.parametrize(
    "label", ["", "2026-06-01", "2026-13", "2026-00", "2026-W2", "2026 06", "202606", "2026-6"]
)
def test_a_label_of_a_month_is_a_month(label: str) -> None:
    assert "is no yyyy-MM" in refusal(monthly(label), MONTHLY)


@pytest.mark.parametrize("value", [None, 5, 20260601, True, [], {}])
def test_a_label_is_text(value: object) -> None:
    assert refusal(sample("history.nodes.0.date", value)).startswith("history.nodes.0.date is ")


@pytest.mark.parametrize("label", ["2026-05-31", "2026-07-01", "2025-06-01", "9999-12-31", "0001-01-01"])
def test_a_day_outside_the_window_is_refused(label: str) -> None:
    assert f"'{label}', outside its window from 2026-06-01 to 2026-06-30" in refusal(
        sample("history.nodes.0.date", label)
    )


@pytest.mark.parametrize("label", ["2026-03", "2026-07", "9999-12", "0001-01"])
def test_a_month_outside_the_window_is_refused(label: str) -> None:
    assert "outside its window" in refusal(monthly(label), MONTHLY)


def test_the_month_in_which_the_window_begins_is_inside() -> None:
    stats = parse_usage_stats(monthly("2026-04", "2026-06", first="2026-04-16T05:15:00Z"), MONTHLY)
    assert [node.date for node in stats.history.nodes] == ["2026-04", "2026-06"]


@pytest.mark.parametrize("label", ["2026-06-01", "2026-06-30"])
def test_the_first_and_the_last_day_of_the_window_are_inside(label: str) -> None:
    parse_usage_stats(sample("history.nodes", [{"date": label, "usage": 1, "limit": None}]), DAILY)


def test_the_window_may_end_at_the_time_of_the_call() -> None:
    parse_usage_stats(sample("filterDate.to", "2026-06-02T05:15:00.123Z"), DAILY)


def test_a_label_that_comes_twice_is_refused() -> None:
    assert "'2026-06-02' twice" in refusal(sample("history.nodes.0.date", "2026-06-02"))
    assert "'2026-05' twice" in refusal(monthly("2026-05", "2026-05"), MONTHLY)


def test_a_window_that_runs_backwards_is_refused() -> None:
    assert "runs backwards" in refusal(sample("filterDate.to", "2026-05-31T23:59:59Z"))


def test_a_window_of_days_lies_within_one_month() -> None:
    assert "is not within one month" in refusal(sample("filterDate.to", "2026-07-01T00:00:01Z"))
    assert "is not within one month" in refusal(sample("filterDate.to", "2027-06-30T00:00:00Z"))


def test_a_history_may_be_empty() -> None:
    assert parse_usage_stats(sample("history.nodes", []), DAILY).history.nodes == []


def test_a_sum_that_no_table_can_hold_is_refused() -> None:
    assert "the sum of history's usage" in refusal(sample("history.nodes.0.usage", 2**63 - 1))


def test_ten_thousand_nodes_are_refused_by_the_first_repetition() -> None:
    nodes = [{"date": f"2026-06-{number % 30 + 1:02}", "usage": 1, "limit": None} for number in range(10_000)]
    assert "'2026-06-01' twice" in refusal(sample("history.nodes", nodes))


def test_fields_that_nobody_asked_for_do_not_matter() -> None:
    assert parse_usage_stats({**sample(), "extra": NESTED}, DAILY).active_flows == 7


def test_a_month_is_its_first_day() -> None:
    assert parse_label("2026-06", is_daily=False) == date(2026, 6, 1)
    assert parse_label("2026-06-16", is_daily=True) == date(2026, 6, 16)


def test_an_organization_has_a_uuid_in_lower_case() -> None:
    found = parse_organization({"uuid": UUID.upper(), "name": "Ação", "id": "300"})
    assert found == KnownOrganization(uuid=UUID, name="Ação")


def test_a_name_is_one_that_every_database_takes() -> None:
    name = parse_organization({"uuid": UUID, "name": "A\0B" + "x" * 100_000}).name or ""
    assert name.startswith("A\ufffdBx")
    assert len(name) == 500


@pytest.mark.parametrize("name", [5, [], {}, True])
def test_a_name_is_text(name: object) -> None:
    with pytest.raises(OrganizationError, match=r"^name is "):
        parse_organization({"uuid": UUID, "name": name})


@pytest.mark.parametrize(
    ("window", "days"),
    [
        (("2026-06-01T00:00:00Z", "2026-06-30T23:59:59Z"), ("2026-06-01", "2026-06-30")),
        (("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"), ("2026-06-01", "2026-06-30")),
        (("2026-06-01T00:00:00-03:00", "2026-06-30T23:59:59-03:00"), ("2026-06-01", "2026-06-30")),
        (("2026-06-01T00:00:00Z", "2026-06-16T05:15:00Z"), ("2026-06-01", "2026-06-16")),
        (("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"), ("2026-06-01", "2026-06-01")),
    ],
)
def test_however_a_window_is_written_its_days_are_read(
    window: tuple[str, str], days: tuple[str, str]
) -> None:
    answer = {**SAMPLE_STATS, "filterDate": dict(zip(("from", "to"), window, strict=True))}
    question = UsageQuestion("8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11", Period.CURRENT_MONTH)

    dates = parse_usage_stats(answer, question).filter_date

    assert (str(dates.first_day), str(dates.last_day)) == days

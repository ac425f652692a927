"""What Prometheus is told, read from the text that it reads."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jobs import __version__
from jobs.metrics import MOST_ORGANIZATIONS, Metrics
from jobs.report import RunReport
from storage.attention import CurrentUsage
from storage.runs import Outcome, OutcomeStatus, RunCounts

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(clock)


def _samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Values of a metric by the values of their labels, in the order of the labels' names."""
    text = generate_latest(metrics.registry).decode()
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"pipefy_usage_{name}"
    }


def _value(metrics: Metrics, name: str, *labels: str) -> float:
    return _samples(metrics, name)[labels]


def _report(*statuses: OutcomeStatus) -> RunReport:
    report = RunReport("run-1", NOW, "1", duration_seconds=2.5, token_requests=2)
    report.counts = RunCounts(
        organizations=len(statuses), rows_inserted=7, rows_changed=3, rows_restated=1, requests=12,
        requests_billed=10,
    )  # fmt: skip
    report.retries = {"HTTP_429": 2, "SOMETHING_NEW": 1}
    report.outcomes = []
    report.add([Outcome(f"o{number}", "last_month", status) for number, status in enumerate(statuses)])
    report.counts.rows_inserted, report.counts.rows_changed = 7, 3
    return report


def test_what_can_be_counted_is_shown_at_zero_from_the_start(metrics: Metrics) -> None:
    assert _samples(metrics, "runs_total") == {
        (status,): 0 for status in ("succeeded", "partial", "failed", "interrupted")
    }
    assert _samples(metrics, "requests_total") == {("graphql",): 0, ("token",): 0}
    assert _samples(metrics, "notices_total") == {("sent",): 0, ("failed",): 0}
    assert _samples(metrics, "last_run_organizations") == {("stored",): 0, ("failed",): 0}
    assert _value(metrics, "request_retries_total", "HTTP_503") == 0
    assert _samples(metrics, "info") == {(__version__,): 1}


def test_runs_add_up(metrics: Metrics) -> None:
    metrics.count_run(_report(OutcomeStatus.STORED))
    metrics.count_run(_report(OutcomeStatus.STORED))

    assert _value(metrics, "runs_total", "succeeded") == 2
    for name, value in {"rows_inserted": 14, "rows_changed": 6, "rows_restated": 2}.items():
        assert _value(metrics, f"{name}_total") == value
    assert _samples(metrics, "requests_total") == {("graphql",): 24, ("token",): 4}
    assert _value(metrics, "requests_billed_total") == 20
    assert _value(metrics, "request_retries_total", "HTTP_429") == 4
    assert _value(metrics, "request_retries_total", "SOMETHING_NEW") == 2
    assert _value(metrics, "last_run_duration_seconds") == 2.5
    assert _value(metrics, "last_success_timestamp_seconds") == NOW.timestamp()


@pytest.mark.parametrize(
    ("statuses", "ended", "shown"),
    [
        ((OutcomeStatus.STORED, OutcomeStatus.FAILED, OutcomeStatus.STORED), "partial", (2, 1)),
        ((OutcomeStatus.FAILED, OutcomeStatus.FAILED), "failed", (0, 2)),
    ],
)
def test_a_run_that_failed_for_some_is_a_run_but_no_success(
    metrics: Metrics, statuses: tuple[OutcomeStatus, ...], ended: str, shown: tuple[int, int]
) -> None:
    metrics.count_run(_report(*statuses))

    assert _value(metrics, "runs_total", ended) == 1
    assert _value(metrics, "last_run_timestamp_seconds") == NOW.timestamp()
    assert _value(metrics, "last_success_timestamp_seconds") == 0
    assert _samples(metrics, "last_run_organizations") == {("stored",): shown[0], ("failed",): shown[1]}


def test_a_run_that_was_broken_off_is_counted(metrics: Metrics) -> None:
    metrics.count_broken_run(interrupted=True)
    metrics.count_broken_run(interrupted=False)

    assert _value(metrics, "runs_total", "interrupted") == _value(metrics, "runs_total", "failed") == 1


def test_notices_are_counted_unless_there_is_nobody_to_tell(metrics: Metrics) -> None:
    for sent in (True, True, False, None):
        metrics.count_notice(sent=sent)

    assert _samples(metrics, "notices_total") == {("sent",): 2, ("failed",): 1}


def test_the_scheduler_shows_its_beat_and_its_next_run(metrics: Metrics) -> None:
    metrics.beat(NOW)
    metrics.expect_run(NOW + timedelta(hours=1))

    assert _value(metrics, "scheduler_heartbeat_timestamp_seconds") == NOW.timestamp()
    assert _value(metrics, "next_run_timestamp_seconds") == NOW.timestamp() + 3600

    metrics.expect_run(None)

    assert math.isnan(_value(metrics, "next_run_timestamp_seconds"))


def test_each_organization_is_shown_and_its_newest_day_ages_with_the_clock(
    metrics: Metrics, clock: Clock
) -> None:
    metrics.show_organizations(
        [
            CurrentUsage("acme", "Acme", date(2026, 6, 15), date(2026, 6, 1), 120, 0),
            CurrentUsage("new", None, None, date(2026, 6, 1), 5, None),
        ]
    )

    assert _samples(metrics, "tasks") == {("Acme", "acme"): 120, ("", "new"): 5}
    assert _samples(metrics, "tasks_limit") == {("Acme", "acme"): 0}
    assert _samples(metrics, "newest_day_age_days") == {("Acme", "acme"): 1}

    clock.now += timedelta(days=3)

    assert _samples(metrics, "newest_day_age_days") == {("Acme", "acme"): 4}


def test_an_organization_that_is_gone_is_shown_no_more(metrics: Metrics) -> None:
    metrics.show_organizations([CurrentUsage("acme", "Acme", None, date(2026, 6, 1), 120, None)])
    metrics.show_organizations([])

    assert _samples(metrics, "tasks") == {}


@pytest.mark.parametrize(
    ("count", "shown"), [(MOST_ORGANIZATIONS, MOST_ORGANIZATIONS), (MOST_ORGANIZATIONS + 1, 0)]
)
def test_too_many_organizations_are_not_shown_at_all(metrics: Metrics, count: int, shown: int) -> None:
    metrics.show_organizations(
        [CurrentUsage(f"o{number}", None, None, date(2026, 6, 1), 1, 1) for number in range(count)]
    )

    assert len(_samples(metrics, "tasks")) == len(_samples(metrics, "tasks_limit")) == shown

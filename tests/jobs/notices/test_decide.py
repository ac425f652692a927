"""Which messages are due."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.notices.decide import failing_notices, run_notice, summarize, usage_notices
from jobs.report import RunReport
from storage.attention import CurrentUsage, FailingOrganization
from storage.runs import Outcome, OutcomeStatus, RunCounts

ACME = "0a5c1b8e-5a6f-4d5e-9a51-3f0f53c1a001"
NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
SINCE = datetime(2026, 6, 14, 23, 59, tzinfo=UTC)


def _failing(name: str | None = "Acme") -> FailingOrganization:
    return FailingOrganization(ACME, name, SINCE, "GONE: no answer")


def _used(usage: int, limit: int | None, name: str | None = "Acme") -> CurrentUsage:
    return CurrentUsage(ACME, name, None, date(2026, 6, 1), usage, limit)


def test_a_failed_run_is_told_once_for_its_due_instant() -> None:
    first, again = run_notice(NOW, "no database"), run_notice(NOW, "no network")

    assert first.keys == again.keys == ("run-failed:2026-06-16T05:15:00+00:00",)
    assert first.title == "The usage export of 2026-06-16 05:15 UTC failed"
    assert first.body.startswith("no database\n")
    assert run_notice(NOW + timedelta(days=1), "").keys != first.keys


@pytest.mark.parametrize(
    ("today", "days", "is_told"),
    [
        (date(2026, 6, 14), 1, True),
        (date(2026, 6, 14), 2, False),
        (date(2026, 6, 15), 3, False),
        (date(2026, 6, 16), 3, True),
        (date(2026, 7, 30), 3, True),
    ],
)
def test_an_organization_is_told_of_on_its_nth_failing_day(today: date, days: int, *, is_told: bool) -> None:
    assert len(list(failing_notices([_failing()], today, days=days))) == is_told


def test_a_row_of_failures_is_told_of_once() -> None:
    today = date(2026, 6, 16)
    (first,) = failing_notices([_failing()], today, days=3)
    (later,) = failing_notices([_failing()], today + timedelta(days=9), days=3)

    assert first == later
    assert first.keys == (f"organization-failing:{ACME}:2026-06-14",)
    assert first.title == "No usage of Acme for 3 days"
    assert first.body == f"Acme ({ACME}) has failed since 2026-06-14: GONE: no answer"


def test_an_organization_without_a_name_is_told_of_by_its_uuid() -> None:
    (failing,) = failing_notices([_failing(None)], date(2026, 6, 20), days=1)
    (used,) = usage_notices([_used(9, 10, None)], [0.8])

    assert ACME in failing.title
    assert failing.body.startswith(f"{ACME} has failed")
    assert used.title == f"{ACME} has used 80% of its tasks"


@pytest.mark.parametrize(
    ("usage", "limit", "told"),
    [
        (79, 100, []),
        (80, 100, ["0.8"]),
        (99, 100, ["0.8"]),
        (100, 100, ["1", "0.8"]),
        (10**15, 100, ["1", "0.8"]),
        (0, 100, []),
        (0, 0, []),
        (1, 0, ["1", "0.8"]),
        (10**9, None, []),
        (0, None, []),
    ],
)
@pytest.mark.parametrize("shares", [[0.8, 1.0], [1.0, 0.8]])
def test_usage_is_told_of_once_by_the_highest_share_it_has_passed(
    usage: int, limit: int | None, told: list[str], shares: list[float]
) -> None:
    notices = list(usage_notices([_used(usage, limit)], shares))

    assert [notice.keys for notice in notices] == (
        [tuple(f"usage:{ACME}:2026-06-01:{share}" for share in told)] if told else []
    )


def test_a_message_about_usage_tells_both_numbers() -> None:
    (notice,) = usage_notices([_used(12_345, 10_000)], [0.5, 1.0])

    assert notice.title == "Acme has used 100% of its tasks"
    assert "has used 12,345 of 10,000 tasks in the month from 2026-06-01" in notice.body


def test_without_shares_no_usage_is_told_of() -> None:
    assert list(usage_notices([_used(100, 100)], [])) == []


def test_a_run_is_summed_up_with_its_first_failures() -> None:
    report = RunReport("run-1", NOW, "1", duration_seconds=2.04)
    report.counts = RunCounts(30, 25, 7, 3, 1, 12, 10)
    report.outcomes = [
        Outcome(
            f"o{number}", "last_month", OutcomeStatus.FAILED, error_code="GONE", error_message="no answer"
        )
        for number in range(25)
    ]

    first, *failures = summarize(report).split("\n")

    assert first == ("30 organizations, 25 failed; 7 rows new, 3 changed, 1 restated; 12 requests; 2.0 s")
    assert failures == [f"o{number} last_month: GONE: no answer" for number in range(20)]

from jobs.errors import OrganizationError
from jobs.fetch import Batch
from jobs.outcomes import build_outcomes, good_answers, unresolved_outcomes
from jobs.periods import Period
from jobs.pipefy.client import UsageAnswer
from jobs.pipefy.models import parse_usage_stats
from jobs.pipefy.queries import UsageQuestion
from jobs.plan import AccountTargets, Unresolved
from jobs.sandbox import SAMPLE_STATS
from jobs.settings import AccountSettings
from storage.organizations import Organization
from storage.runs import Outcome, OutcomeStatus
from storage.upsert import RowCounts

UUID = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"
DAYS = UsageQuestion(UUID, Period.CURRENT_MONTH)
MONTHS = UsageQuestion(UUID, Period.LAST_3_MONTHS)
STATS = parse_usage_stats(SAMPLE_STATS, DAYS)
ERROR = OrganizationError("Pipefy says: no", code="FORBIDDEN", correlation_id="abc-123")
BATCH = Batch([Organization(UUID, "main")], [UsageAnswer(DAYS, STATS, 0.5), UsageAnswer(MONTHS, ERROR, 0.25)])


def test_good_answers_are_those_with_usage() -> None:
    assert good_answers(BATCH) == [(DAYS, STATS)]


def test_what_was_stored_has_the_rows_of_all_its_tables() -> None:
    counts = [
        {(UUID, "current_month"): RowCounts(2, 1, 1), (UUID, "last_month"): RowCounts(9, 9, 0)},
        {},
        {(UUID, "current_month"): RowCounts(1, 0, 1), ("other", "current_month"): RowCounts(9, 9, 0)},
    ]
    stored, _ = build_outcomes(BATCH, counts)
    assert stored == Outcome(
        UUID,
        "current_month",
        OutcomeStatus.STORED,
        rows_seen=3,
        rows_inserted=1,
        rows_changed=2,
        duration_seconds=0.5,
    )


def test_what_failed_keeps_its_error() -> None:
    _, failed = build_outcomes(BATCH, [])
    assert failed == Outcome(
        UUID,
        "last_3_months",
        OutcomeStatus.FAILED,
        error_code="FORBIDDEN",
        error_message="Pipefy says: no",
        correlation_id="abc-123",
        duration_seconds=0.25,
    )


def test_an_answer_without_rows_was_stored() -> None:
    [outcome] = build_outcomes(Batch([], [UsageAnswer(DAYS, STATS, 0.0)]), [])
    assert (outcome.status, outcome.rows_seen) == (OutcomeStatus.STORED, 0)


def test_an_entry_that_led_to_no_organization_fails_in_every_period() -> None:
    target = AccountTargets(AccountSettings(name="main", organizations="all"))
    target.unresolved = [Unresolved("300", ERROR), Unresolved("301", ERROR)]
    outcomes = list(unresolved_outcomes([target], [Period.CURRENT_MONTH, Period.LAST_MONTH]))
    assert [(each.organization, each.period) for each in outcomes] == [
        ("300", "current_month"),
        ("300", "last_month"),
        ("301", "current_month"),
        ("301", "last_month"),
    ]
    assert {each.error_code for each in outcomes} == {"FORBIDDEN"}

"""What came of each question, for the record and the report: pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from jobs.errors import OrganizationError
from jobs.fetch import Batch
from jobs.periods import Period
from jobs.pipefy.models import UsageStats
from jobs.pipefy.queries import UsageQuestion
from jobs.plan import AccountTargets
from storage.runs import Outcome, OutcomeStatus
from storage.upsert import CountsByAnswer, RowCounts


def good_answers(batch: Batch) -> list[tuple[UsageQuestion, UsageStats]]:
    """The batch's questions that were answered, with their answers."""
    return [
        (answer.question, answer.result) for answer in batch.answers if isinstance(answer.result, UsageStats)
    ]


def build_outcomes(batch: Batch, counts: Sequence[CountsByAnswer]) -> Iterator[Outcome]:
    """An outcome for each question of a batch.

    Args:
        batch: The questions with their answers or errors.
        counts: For each usage table, the rows of each answer.
    """
    for answer in batch.answers:
        organization, period = answer.question.organization_uuid, answer.question.period
        if isinstance(answer.result, OrganizationError):
            yield _failed(organization, period, answer.result, answer.duration_seconds)
        else:
            yield _stored(organization, period, counts, answer.duration_seconds)


def unresolved_outcomes(targets: Sequence[AccountTargets], periods: Sequence[Period]) -> Iterator[Outcome]:
    """An outcome for each period of each entry of the configuration that led to no organization."""
    for target in targets:
        for entry, period in product(target.unresolved, periods):
            yield _failed(entry.configured, period, entry.error, 0.0)


def _stored(
    organization: str,
    period: Period,
    counts: Sequence[Mapping[tuple[str, str], RowCounts]],
    duration_seconds: float,
) -> Outcome:
    rows = sum((each.get((organization, period.value), RowCounts()) for each in counts), RowCounts())
    return Outcome(
        organization,
        period.value,
        OutcomeStatus.STORED,
        rows_seen=rows.seen,
        rows_inserted=rows.inserted,
        rows_changed=rows.changed,
        duration_seconds=duration_seconds,
    )


def _failed(organization: str, period: Period, error: OrganizationError, duration_seconds: float) -> Outcome:
    return Outcome(
        organization,
        period.value,
        OutcomeStatus.FAILED,
        error_code=error.code,
        error_message=str(error),
        correlation_id=error.correlation_id,
        duration_seconds=duration_seconds,
    )

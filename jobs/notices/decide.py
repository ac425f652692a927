"""Which messages are due: pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from jobs.report import RunReport
from storage.attention import CurrentUsage, FailingOrganization


@dataclass(frozen=True)
class Notice:
    """A message to people.

    Attributes:
        keys: What it tells of; each is told once, ever. The first names the message.
        title: In a line.
        body: In a few.
    """

    keys: tuple[str, ...]
    title: str
    body: str


def run_notice(scheduled_for: datetime, reason: str) -> Notice:
    """The run of a due instant has failed; further attempts are not told of again."""
    return Notice(
        keys=(f"run-failed:{scheduled_for.isoformat()}",),
        title=f"The usage export of {scheduled_for:%Y-%m-%d %H:%M} UTC failed",
        body=f"{reason}\nIt is tried again until the next one is due.",
    )


def failing_notices(failing: Iterable[FailingOrganization], today: date, *, days: int) -> Iterator[Notice]:
    """One for each organization that has failed on so many days in a row; once in a row of failures."""
    for each in failing:
        if today - each.failing_since.date() >= timedelta(days=days - 1):
            name = f"{each.name} ({each.organization})" if each.name else each.organization
            yield Notice(
                keys=(f"organization-failing:{each.organization}:{each.failing_since.date()}",),
                title=f"No usage of {each.name or each.organization} for {days} days",
                body=f"{name} has failed since {each.failing_since:%Y-%m-%d}: {each.last_error}",
            )


def usage_notices(usages: Iterable[CurrentUsage], shares: Sequence[float]) -> Iterator[Notice]:
    """One for each organization whose usage has passed a share of its limit; once for each share and month.

    If several shares are passed at once, only the highest is told of.
    """
    for each in usages:
        if each.usage_limit is None or not each.usage:
            continue
        # Multiplied, never divided: a limit of 0 occurs.
        passed = sorted(share for share in shares if each.usage >= share * each.usage_limit)
        if passed:
            name = each.name or each.organization
            yield Notice(
                keys=tuple(
                    f"usage:{each.organization}:{each.period_from}:{share:g}" for share in reversed(passed)
                ),
                title=f"{name} has used {passed[-1]:.0%} of its tasks",
                body=f"{name} ({each.organization}) has used {each.usage:,} of {each.usage_limit:,} tasks "
                f"in the month from {each.period_from}.",
            )


def summarize(report: RunReport) -> str:
    """A run in a few lines, for a monitor."""
    counts = report.counts
    sums = (
        f"{counts.organizations} organizations, {counts.organizations_failed} failed; "
        f"{counts.rows_inserted} rows new, {counts.rows_changed} changed, {counts.rows_restated} restated; "
        f"{counts.requests} requests; {report.duration_seconds:.1f} s"
    )
    failures = [
        f"{failure.organization} {failure.period}: {failure.error_code}: {failure.error_message}"
        for failure in report.failures[:20]
    ]
    return "\n".join([sums, *failures])

"""The record of runs, and of what each did for each organization and period."""

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.errors import RunAlreadyDoneError
from storage.tables import export_outcomes, export_runs


class Trigger(enum.StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    CATCH_UP = "catch-up"
    MANUAL = "manual"


class RunStatus(enum.StrEnum):
    """How a run stands or ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class OutcomeStatus(enum.StrEnum):
    """What came of one organization and period."""

    STORED = "stored"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What a run did for one organization and period.

    Attributes:
        organization: UUID, or the configured number if no UUID is known.
        period: ``current_month``, ``last_month`` or ``last_3_months``.
        status: Whether its rows are stored.
        rows_seen: Usage rows in the answer.
        rows_inserted: Those new in the database.
        rows_changed: Those whose values changed.
        error_code: Pipefy's code, or ours, of the failure.
        error_message: What failed and what mends it.
        correlation_id: What Pipefy's support asks for.
        duration_seconds: From asking to answer, retries included.
    """

    organization: str
    period: str
    status: OutcomeStatus
    rows_seen: int = 0
    rows_inserted: int = 0
    rows_changed: int = 0
    error_code: str | None = None
    error_message: str | None = None
    correlation_id: str | None = None
    duration_seconds: float = 0.0


@dataclass
class RunCounts:
    """What a run has done so far, over all organizations."""

    organizations: int = 0
    organizations_failed: int = 0
    rows_inserted: int = 0
    rows_changed: int = 0
    rows_restated: int = 0
    requests: int = 0
    requests_billed: int = 0


@dataclass(frozen=True)
class DueRun:
    """A due instant, and what was done for it so far.

    Attributes:
        schedule: Whose instant it is.
        scheduled_for: The instant (aware, UTC).
        attempts: How often a run was started for it.
        status: How the last attempt stands; None if there was none.
        ended_at: When the last attempt ended (UTC), if it did.
        failed_organizations: UUIDs or numbers for which the last attempt failed, if it did for some only.
    """

    schedule: str
    scheduled_for: datetime
    attempts: int = 0
    status: RunStatus | None = None
    ended_at: datetime | None = None
    failed_organizations: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """A run as it is recorded.

    Attributes:
        run_id: UUID of the run. All attempts for one due instant are one run.
        started_at: The instant of the attempt (aware, UTC).
        version: Version of the program.
        trigger: What started it.
        schedule: The schedule that asked for it, if any.
        scheduled_for: The instant it was due, if any (aware, UTC).
        attempts: Which attempt it is.
        counts: What this attempt has done.
        earlier: What the earlier attempts have done.
    """

    run_id: str
    started_at: datetime
    version: str
    trigger: Trigger = Trigger.MANUAL
    schedule: str | None = None
    scheduled_for: datetime | None = None
    attempts: int = 1
    counts: RunCounts = field(default_factory=RunCounts, compare=False)
    earlier: RunCounts = field(default_factory=RunCounts, compare=False)


def start_run(connection: sa.Connection, run: RunRecord) -> RunRecord:
    """Records that a run, or a further attempt of a due one, has started; the caller holds the run lock.

    A run that is still recorded as running was killed: the lock was free. It is marked as interrupted.

    Returns:
        The record, which has the id of the earlier attempts if there were any.

    Raises:
        RunAlreadyDoneError: The due run has succeeded meanwhile.
    """
    connection.execute(
        export_runs.update()
        .where(export_runs.c.status == RunStatus.RUNNING)
        .values(
            status=RunStatus.INTERRUPTED,
            finished_at=run.started_at,
            message="It ended without a word: killed, or the machine stopped. The next run made up for it.",
        )
    )
    earlier = _read_due(connection, run.schedule, run.scheduled_for)
    if earlier is None:
        connection.execute(
            export_runs.insert().values(
                run_id=run.run_id,
                trigger=run.trigger,
                schedule=run.schedule,
                scheduled_for=run.scheduled_for,
                attempts=run.attempts,
                started_at=run.started_at,
                status=RunStatus.RUNNING,
                version=run.version,
                **asdict(run.counts),
            )
        )
        return run
    if earlier.status == RunStatus.SUCCEEDED:
        raise RunAlreadyDoneError(f"the run that was due at {run.scheduled_for} has succeeded already")
    counted = RunCounts(**{name: getattr(earlier, name) for name in RunCounts.__dataclass_fields__})
    resumed = replace(run, run_id=earlier.run_id, attempts=earlier.attempts + 1, earlier=counted)
    connection.execute(
        export_runs.update()
        .where(export_runs.c.run_id == resumed.run_id)
        .values(
            attempts=resumed.attempts,
            started_at=resumed.started_at,
            finished_at=None,
            status=RunStatus.RUNNING,
            message=None,
            version=resumed.version,
        )
    )
    return resumed


def finish_run(
    connection: sa.Connection, run: RunRecord, *, status: RunStatus, at: datetime, message: str | None = None
) -> None:
    """Records how the run ended, with the counts of all its attempts.

    An attempt that failed for all that it asked for is partial if earlier ones have stored the rest.
    """
    if status is RunStatus.FAILED and message is None and _has_stored(connection, run):
        status = RunStatus.PARTIAL
    connection.execute(
        export_runs.update()
        .where(export_runs.c.run_id == run.run_id)
        .values(status=status, finished_at=at, message=message, **_sum_up(run))
    )


def _has_stored(connection: sa.Connection, run: RunRecord) -> bool:
    stored = sa.select(export_outcomes.c.run_id).where(
        export_outcomes.c.run_id == run.run_id, export_outcomes.c.status == OutcomeStatus.STORED
    )
    return connection.scalar(stored.limit(1)) is not None


def _sum_up(run: RunRecord) -> dict[str, int]:
    counts, earlier = asdict(run.counts), asdict(run.earlier)
    summed = {name: count + earlier[name] for name, count in counts.items()}
    # A further attempt asks for some of the organizations again, or for all.
    summed["organizations"] = max(counts["organizations"], earlier["organizations"])
    summed["organizations_failed"] = counts["organizations_failed"]
    return summed


def insert_outcomes(
    connection: sa.Connection, run: RunRecord, outcomes: Sequence[Outcome], *, at: datetime
) -> None:
    """Records outcomes, in the transaction that stores their rows; those of earlier attempts are replaced."""
    if not outcomes:
        return
    if run.attempts > 1:
        columns = export_outcomes.c
        connection.execute(
            export_outcomes.delete().where(
                columns.run_id == run.run_id,
                columns.organization == sa.bindparam("its_organization"),
                columns.period == sa.bindparam("its_period"),
            ),
            [{"its_organization": each.organization, "its_period": each.period} for each in outcomes],
        )
    connection.execute(
        export_outcomes.insert(),
        [{"run_id": run.run_id, "finished_at": at, **asdict(outcome)} for outcome in outcomes],
    )


def read_due_run(connection: sa.Connection, schedule: str, scheduled_for: datetime) -> DueRun:
    """What was done so far for a due instant."""
    row = _read_due(connection, schedule, scheduled_for)
    if row is None:
        return DueRun(schedule, scheduled_for)
    status = RunStatus(row.status)
    failed = _failed_organizations(connection, row.run_id) if status is RunStatus.PARTIAL else ()
    return DueRun(schedule, scheduled_for, row.attempts, status, row.finished_at, failed)


def read_last_success(connection: sa.Connection) -> datetime | None:
    """When the newest run started that exported every organization (UTC)."""
    newest = sa.select(sa.func.max(export_runs.c.started_at)).where(
        export_runs.c.status == RunStatus.SUCCEEDED
    )
    started_at: datetime | None = connection.scalar(newest)
    return started_at


def _read_due(connection: sa.Connection, schedule: str | None, scheduled_for: datetime | None) -> Any:  # noqa: ANN401 # a row
    if schedule is None or scheduled_for is None:
        return None
    return connection.execute(
        sa.select(export_runs).where(
            export_runs.c.schedule == schedule, export_runs.c.scheduled_for == scheduled_for
        )
    ).one_or_none()


def _failed_organizations(connection: sa.Connection, run_id: str) -> tuple[str, ...]:
    failed = (
        sa.select(export_outcomes.c.organization)
        .where(export_outcomes.c.run_id == run_id, export_outcomes.c.status == OutcomeStatus.FAILED)
        .distinct()
        .order_by(export_outcomes.c.organization)
    )
    return tuple(connection.scalars(failed))

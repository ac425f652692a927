"""The record of runs, and of what each did for each organization and period."""

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

import sqlalchemy as sa

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
class RunRecord:
    """A run as it is recorded when it starts.

    Attributes:
        run_id: UUID of the run.
        started_at: The run's instant (aware, UTC).
        version: Version of the program.
        trigger: What started it.
        schedule: The schedule that asked for it, if any.
        scheduled_for: The instant it was due, if any (aware, UTC).
    """

    run_id: str
    started_at: datetime
    version: str
    trigger: Trigger = Trigger.MANUAL
    schedule: str | None = None
    scheduled_for: datetime | None = None
    counts: RunCounts = field(default_factory=RunCounts, compare=False)


def start_run(connection: sa.Connection, run: RunRecord) -> None:
    """Records that the run has started; the caller holds the run lock.

    A run that is still recorded as running was killed: the lock was free. It is marked as interrupted.
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
    connection.execute(
        export_runs.insert().values(
            run_id=run.run_id,
            trigger=run.trigger,
            schedule=run.schedule,
            scheduled_for=run.scheduled_for,
            started_at=run.started_at,
            status=RunStatus.RUNNING,
            version=run.version,
            **asdict(run.counts),
        )
    )


def finish_run(
    connection: sa.Connection, run: RunRecord, *, status: RunStatus, at: datetime, message: str | None = None
) -> None:
    """Records how the run ended, with its counts."""
    connection.execute(
        export_runs.update()
        .where(export_runs.c.run_id == run.run_id)
        .values(status=status, finished_at=at, message=message, **asdict(run.counts))
    )


def insert_outcomes(
    connection: sa.Connection, run_id: str, outcomes: Sequence[Outcome], *, at: datetime
) -> None:
    """Records outcomes, in the transaction that stores their rows."""
    if outcomes:
        connection.execute(
            export_outcomes.insert(),
            [{"run_id": run_id, "finished_at": at, **asdict(outcome)} for outcome in outcomes],
        )

"""One run of the export: ask Pipefy, flatten, store, publish the snapshot, report."""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

from jobs import __version__
from jobs.credentials import Credentials
from jobs.errors import RunInterruptedError, UsageExportError
from jobs.fetch import Batch, FetchSettings, fetch_into
from jobs.flatten import flatten_usage
from jobs.outcomes import build_outcomes, good_answers, unresolved_outcomes
from jobs.periods import Period
from jobs.pipefy.endpoint import Patience, Traffic
from jobs.plan import AccountTargets, plan_accounts
from jobs.report import RunReport
from jobs.settings import Settings
from jobs.stopping import StopRequest, run_until_stopped
from storage.errors import StorageError
from storage.lock import hold_run_lock
from storage.organizations import read_organization_rows, read_organizations, upsert_organizations
from storage.runs import (
    DueRun,
    Outcome,
    RunRecord,
    RunStatus,
    Trigger,
    finish_run,
    insert_outcomes,
    start_run,
)
from storage.schema import require_schema
from storage.snapshots import SnapshotWriter, write_snapshot
from storage.tables import USAGE_TABLES
from storage.upsert import upsert_frame


class Observer(Protocol):
    """Is told how a run goes on, to show it."""

    def planned(self, organizations: int) -> None:
        """So many organizations will be asked for."""

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        """So many more organizations are done, with these outcomes."""


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked to do.

    Attributes:
        settings: The configuration.
        credentials: By the account's name.
        now: The run's instant (aware, UTC): the date of the snapshot, and what is recorded with every row.
        organizations: Numbers or UUIDs of the only organizations wanted; none of them means all.
        periods: The only periods wanted; none of them means those of the configuration.
        trigger: What started the run.
        due: The due instant that it runs for, if any.
    """

    settings: Settings
    credentials: Mapping[str, Credentials]
    now: datetime
    organizations: Collection[str] = ()
    periods: Sequence[Period] = ()
    trigger: Trigger = Trigger.MANUAL
    due: DueRun | None = None

    @property
    def wanted_periods(self) -> Sequence[Period]:
        """The periods to ask for."""
        return self.periods or self.settings.export.periods

    def fetch_settings(self, traffic: Traffic) -> FetchSettings:
        """How to ask, with the run's time running from now on."""
        pipefy, export = self.settings.pipefy, self.settings.export
        return FetchSettings(
            pipefy=pipefy,
            patience=Patience(
                attempts=pipefy.attempts,
                answer_seconds=pipefy.answer_seconds,
                deadline=time.monotonic() + export.deadline_seconds,
            ),
            periods=self.wanted_periods,
            organizations_per_request=export.organizations_per_request,
            traffic=traffic,
        )


def run_export(
    request: RunRequest, engine: sa.Engine, observer: Observer, *, stop: StopRequest | None = None
) -> RunReport:
    """Exports all that is asked for; what fails for one organization leaves the others alone.

    Rows, restatements and outcomes of a batch are stored in one transaction, the snapshot is published when
    all batches are stored. Killed at any point, the next run leaves what an unbroken one would have left.

    Args:
        request: What to do.
        engine: The database.
        observer: Is told how it goes on.
        stop: Ends the run early: what is being stored is committed, the rest is left to the next run.

    Raises:
        RunInProgressError: Another run holds the lock; nothing was done.
        RunAlreadyDoneError: The due run has succeeded meanwhile; nothing was done.
        RunInterruptedError: It was asked to stop; batches that were committed stay.
        ConfigurationError: A wanted organization belongs to no account; nothing was done.
        SchemaError: The tables are not those of this version, and may not be migrated; nothing was done.
        DatabaseError: The database failed; batches that were committed stay.
        SnapshotError: The snapshot could not be written; the rows are in the database.
    """
    require_schema(engine, auto_migrate=request.settings.database.auto_migrate)
    with hold_run_lock(engine) as connection:
        with connection.begin():
            known = read_organizations(connection)
        plans = plan_accounts(request.settings.accounts, known, request.organizations)
        run = _Run(request, connection, observer)
        run.start()
        try:
            with write_snapshot(
                request.settings.snapshots.path, run_id=run.record.run_id, fetched_at=request.now
            ) as snapshot:
                storing = _Storing(run, snapshot)
                settings = request.fetch_settings(run.traffic)
                run_until_stopped(
                    fetch_into(storing, plans, request.credentials, settings), stop or StopRequest()
                )
                storing.publish()
        except BaseException as exc:
            run.finish_early(exc)
            raise
        run.finish()
        return run.report


class _Run:
    """A run's record in the database, and the report that grows with it."""

    def __init__(self, request: RunRequest, connection: sa.Connection, observer: Observer) -> None:
        self.request = request
        self.connection = connection
        self.observer = observer
        self.traffic = Traffic()
        self.record = RunRecord(
            run_id=str(uuid.uuid4()),
            started_at=request.now,
            version=__version__,
            trigger=request.trigger,
            schedule=request.due.schedule if request.due else None,
            scheduled_for=request.due.scheduled_for if request.due else None,
        )
        self.report = RunReport(
            run_id=self.record.run_id,
            started_at=request.now,
            version=__version__,
            counts=self.record.counts,
        )
        self._started = time.monotonic()

    @property
    def at(self) -> datetime:
        """The present instant: the run's own, plus the time that it has taken."""
        return self.request.now + timedelta(seconds=time.monotonic() - self._started)

    def start(self) -> None:
        with self.connection.begin():
            self.record = start_run(self.connection, self.record)
        self.report.run_id = self.record.run_id

    def settle(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        """Counts outcomes that are stored, and tells the observer."""
        self.report.add(outcomes)
        self.observer.settled(organizations, outcomes)

    def finish(self) -> None:
        self._finish(self.report.status)

    def finish_early(self, error: BaseException) -> None:
        """Records what ended the run, if the database still takes it; the error itself goes on."""
        known = isinstance(error, UsageExportError | StorageError)
        stopped = isinstance(error, RunInterruptedError) or not isinstance(error, Exception)
        status = RunStatus.INTERRUPTED if stopped else RunStatus.FAILED
        try:
            self.connection.rollback()
            self._finish(status, str(error) if known else f"{type(error).__name__}: {error}")
        except sa.exc.SQLAlchemyError:
            # It stays recorded as running; the next run marks it as interrupted.
            return

    def _finish(self, status: RunStatus, message: str | None = None) -> None:
        counts = self.record.counts
        counts.requests, counts.requests_billed = self.traffic.sent, self.traffic.billed
        self.report.token_requests, self.report.retries = self.traffic.tokens, dict(self.traffic.retries)
        self.report.duration_seconds = time.monotonic() - self._started
        with self.connection.begin():
            finish_run(self.connection, self.record, status=status, at=self.at, message=message)


@dataclass
class _Storing:
    """Where a run's batches go: the database, then the growing snapshot."""

    run: _Run
    snapshot: SnapshotWriter

    def take_targets(self, targets: Sequence[AccountTargets]) -> None:
        """Records the entries of the configuration that led to no organization."""
        run = self.run
        outcomes = list(unresolved_outcomes(targets, run.request.wanted_periods))
        unresolved = sum(len(target.unresolved) for target in targets)
        run.record.counts.organizations = unresolved + sum(len(target.organizations) for target in targets)
        run.observer.planned(run.record.counts.organizations)
        with run.connection.begin():
            insert_outcomes(run.connection, run.record, outcomes, at=run.at)
        if outcomes:
            run.settle(unresolved, outcomes)

    def take_batch(self, batch: Batch) -> None:
        """Stores a batch in one transaction, and adds it to the snapshot."""
        run = self.run
        run_id, connection, now = run.record.run_id, run.connection, run.request.now
        frames = flatten_usage(good_answers(batch))
        with connection.begin():
            upsert_organizations(connection, batch.organizations, at=now)
            upserted = [
                upsert_frame(connection, usage_table, frames[usage_table.name], run_id=run_id, at=now)
                for usage_table in USAGE_TABLES
            ]
            outcomes = list(build_outcomes(batch, [each.counts for each in upserted]))
            insert_outcomes(connection, run.record, outcomes, at=run.at)
        self.snapshot.add(frames)
        run.record.counts.rows_restated += sum(each.restated for each in upserted)
        run.report.names.update({each.uuid: each.name for each in batch.organizations if each.name})
        run.settle(len(batch.organizations), outcomes)

    def publish(self) -> None:
        """Lets the snapshot of the date appear."""
        with self.run.connection.begin():
            organizations = read_organization_rows(self.run.connection)
        self.run.report.snapshots = self.snapshot.publish(organizations)
        self.run.report.set_aside = self.snapshot.set_aside

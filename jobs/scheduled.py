"""The scheduled export: finds what is due, runs it, and tells whoever should know. Driven by the service.

What is due is decided by the schedule and the record of runs, never by what a process remembers. So it does
not matter how often, from how many processes or after how long a sleep
:meth:`ScheduledExport.attend` is called.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from jobs.credentials import Credentials
from jobs.errors import ConfigurationError, UsageExportError
from jobs.export import Observer, RunRequest, run_export
from jobs.metrics import Metrics
from jobs.notices.decide import Notice, failing_notices, run_notice, summarize, usage_notices
from jobs.notices.messages import Messages
from jobs.notices.pings import Pings
from jobs.report import RunReport
from jobs.schedule import Schedule
from jobs.settings import Settings
from jobs.stopping import StopRequest
from storage.attention import read_current_usages, read_failing_organizations
from storage.database import connect
from storage.errors import RunAlreadyDoneError, RunInProgressError, StorageError
from storage.notices import record_sent, unsent
from storage.runs import DueRun, Outcome, RunStatus, Trigger, read_due_run
from storage.schema import open_stored

# A run that starts later than this after it was due makes up for a missed one.
_PUNCTUAL = timedelta(minutes=15)
# The pause after a failed attempt, doubled after each further one, up to the longest.
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
# How soon to look again while another process runs the export, or the database does not answer.
_SHORT_PAUSE = timedelta(minutes=1)

log = structlog.get_logger()


@dataclass(frozen=True)
class ExportSetup:
    """What a scheduled run works with; replaced as a whole when the configuration is read anew.

    Attributes:
        settings: The configuration.
        credentials: By the account's name.
        engine: The database.
        pings: The monitor.
        messages: The people.
    """

    settings: Settings
    credentials: Mapping[str, Credentials]
    engine: sa.Engine
    pings: Pings
    messages: Messages

    @property
    def schedule(self) -> Schedule:
        """When the export is due."""
        return Schedule(self.settings.schedule.cron, self.settings.schedule.timezone)


class ScheduledExport:
    """Runs the export for each due instant until it has succeeded or the next is due.

    Args:
        setup: What it works with; may be replaced between two calls of :meth:`attend`.
        clock: Gives the present instant (aware, UTC).
        stop: Ends a run early.
        metrics: Is told of every run.
        observe: Shows how a run goes on.
    """

    def __init__(
        self,
        setup: ExportSetup,
        *,
        clock: Callable[[], datetime],
        stop: StopRequest,
        metrics: Metrics,
        observe: Callable[[], AbstractContextManager[Observer]],
    ) -> None:
        self.setup = setup
        self._clock = clock
        self._stop = stop
        self._metrics = metrics
        self._observe = observe
        self._done: tuple[Schedule, datetime] | None = None
        # A due instant, and until when it is let alone.
        self._let_alone: tuple[datetime, datetime] | None = None
        # Told by this process, in case the database cannot remember it.
        self._told: set[str] = set()

    def is_wanted(self) -> bool:
        """Whether :meth:`attend` would look into the record of runs now; asks no database."""
        return self._find_due(self._clock()) is not None

    def _find_due(self, now: datetime) -> datetime | None:
        """The last due instant, unless it is known to be done or is let alone for a while."""
        due = self.setup.schedule.last_due(now)
        if due is None or self._done == (self.setup.schedule, due):
            return None
        is_let_alone = self._let_alone is not None and self._let_alone[0] == due and now < self._let_alone[1]
        return None if is_let_alone else due

    def attend(self) -> RunReport | None:
        """Runs the export if the last due instant still wants it, and tells whoever should know.

        Returns:
            The report of the attempt; None if there was nothing to do, or it came to no report.
        """
        now, setup = self._clock(), self.setup
        due = self._find_due(now)
        if due is None:
            return None
        # Whatever happens below, the next look is not at once.
        self._let_alone = due, now + _SHORT_PAUSE
        try:
            wanted = _read_wanted(setup, due)
        except StorageError as exc:
            log.warning("service.database_failed", error=str(exc))
            self._tell_run_failed(due, str(exc))
            return None
        if wanted.status is RunStatus.SUCCEEDED:
            self._done = setup.schedule, due
            return None
        if now < (may_start := _may_start(wanted)):
            self._let_alone = due, may_start
            return None
        report = self._run(wanted, now)
        self._tell_of_organizations(now)
        return report

    def _run(self, wanted: DueRun, now: datetime) -> RunReport | None:
        ping_id = str(uuid.uuid4())
        try:
            with self._observe() as observer:
                announcing = _Announcing(observer, lambda: self._ping(self.setup.pings.start, ping_id))
                report = self._export(wanted, now, announcing)
        except (RunInProgressError, RunAlreadyDoneError) as exc:
            log.info("export.run_elsewhere", reason=str(exc))
            return None
        except (UsageExportError, StorageError) as exc:
            self._fail(wanted, ping_id, str(exc))
            return None
        except Exception as exc:
            # A defect of ours; the next attempt may meet other answers.
            log.exception("export.run_crashed")
            self._fail(wanted, ping_id, f"{type(exc).__name__}: {exc}")
            return None
        self._succeed(wanted, ping_id, report)
        return report

    def _export(self, wanted: DueRun, now: datetime, observer: Observer) -> RunReport:
        """Asks again only for what failed, if the last attempt stored the rest."""
        request = RunRequest(
            settings=self.setup.settings,
            credentials=self.setup.credentials,
            now=now,
            organizations=_to_ask_again(wanted),
            trigger=Trigger.SCHEDULE if now - wanted.scheduled_for <= _PUNCTUAL else Trigger.CATCH_UP,
            due=wanted,
        )
        try:
            return run_export(request, self.setup.engine, observer, stop=self._stop)
        except ConfigurationError:
            # What failed is no longer in the configuration.
            return run_export(
                replace(request, organizations=()), self.setup.engine, observer, stop=self._stop
            )

    def _succeed(self, wanted: DueRun, ping_id: str, report: RunReport) -> None:
        """A run has come to its end, whatever it met on the way."""
        self._metrics.count_run(report)
        if report.status is RunStatus.SUCCEEDED:
            self._done = self.setup.schedule, wanted.scheduled_for
        log.info(
            "export.run_finished",
            status=report.status.value,
            duration_seconds=round(report.duration_seconds, 1),
            **asdict(report.counts),
        )
        if report.status is RunStatus.SUCCEEDED:
            self._ping(self.setup.pings.success, ping_id, summarize(report))
            return
        self._ping(self.setup.pings.fail, ping_id, summarize(report))
        # Where only what had failed was asked for again, the rest is stored.
        if report.status is RunStatus.FAILED and not wanted.failed_organizations:
            self._tell_run_failed(wanted.scheduled_for, summarize(report))

    def _fail(self, wanted: DueRun, ping_id: str, reason: str) -> None:
        """A run was broken off."""
        log.error("export.run_failed", error=reason)
        self._metrics.count_broken_run(interrupted=self._stop.is_made)
        self._ping(self.setup.pings.fail, ping_id, reason)
        if not self._stop.is_made:
            self._tell_run_failed(wanted.scheduled_for, reason)

    def _ping(self, ping: Callable[..., bool | None], *said: str) -> None:
        """Pings the monitor; whatever becomes of it costs no run."""
        try:
            sent = ping(*said)
        except Exception:
            log.exception("notices.ping_crashed")
            sent = False
        self._metrics.count_notice(sent=sent)

    def _tell_run_failed(self, due: datetime, reason: str) -> None:
        self._tell([run_notice(due, reason)])

    def _tell_of_organizations(self, now: datetime) -> None:
        """Shows how every organization stands, and tells of those that need a person."""
        notices = self.setup.settings.notices
        try:
            with open_stored(self.setup.engine) as connection:
                if connection is None:
                    return
                usages = read_current_usages(connection)
                failing = read_failing_organizations(connection)
        except StorageError as exc:
            log.warning("notices.database_failed", error=str(exc))
            return
        self._metrics.show_organizations(usages)
        self._tell(
            [
                *failing_notices(failing, now.date(), days=notices.failing_days),
                *usage_notices(usages, notices.usage_shares),
            ]
        )

    def _tell(self, notices: Sequence[Notice]) -> None:
        """Sends each notice that was never sent; one that fails is tried again after the next run."""
        for notice in notices:
            if not self._is_told(notice):
                sent = self.setup.messages.send(notice.title, notice.body)
                self._metrics.count_notice(sent=sent)
                if sent:
                    self._remember(notice)

    def _is_told(self, notice: Notice) -> bool:
        if notice.keys[0] in self._told:
            return True
        try:
            with open_stored(self.setup.engine) as connection:
                return connection is not None and not unsent(connection, notice.keys[:1])
        except StorageError:
            # Rather told twice than never.
            return False

    def _remember(self, notice: Notice) -> None:
        self._told.update(notice.keys)
        try:
            with connect(self.setup.engine) as connection, connection.begin():
                record_sent(connection, notice.keys, at=self._clock())
        except StorageError as exc:
            log.warning("notices.record_failed", error=str(exc))


class _Announcing:
    """An observer that announces the run once it holds the lock: a start without an end raises an alarm."""

    def __init__(self, observer: Observer, announce: Callable[[], None]) -> None:
        self._observer = observer
        self._announce = announce

    def planned(self, organizations: int) -> None:
        self._announce()
        self._observer.planned(organizations)

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        self._observer.settled(organizations, outcomes)


def _to_ask_again(wanted: DueRun) -> tuple[str, ...]:
    """The organizations that failed; none, which means all, if a list of organizations failed.

    Numbers and UUIDs hold no space, and the name of a list does.
    """
    failed = wanted.failed_organizations
    return () if any(" " in each for each in failed) else failed


def _read_wanted(setup: ExportSetup, due: datetime) -> DueRun:
    """What was done so far for a due instant; nothing, if the database has no tables yet."""
    schedule = setup.schedule.name
    with open_stored(setup.engine) as connection:
        if connection is None:
            return DueRun(schedule, due)
        return read_due_run(connection, schedule, due)


def _may_start(wanted: DueRun) -> datetime:
    """When the next attempt may start: at once, or some time after the last one failed."""
    if wanted.ended_at is None or wanted.status is RunStatus.INTERRUPTED:
        return wanted.scheduled_for
    pause: timedelta = _FIRST_PAUSE * 2 ** min(wanted.attempts - 1, 16)
    return wanted.ended_at + min(pause, _LONGEST_PAUSE)

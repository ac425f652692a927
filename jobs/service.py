"""The service: an APScheduler process that attends to the schedule, and can be watched and trusted.

The scheduler only says when to look. What is due, and whether it was done, is decided by
:mod:`jobs.scheduled` from the record of runs.
"""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobs import exits
from jobs.errors import ConfigurationError
from jobs.export import Observer
from jobs.health import Health, serve_health
from jobs.metrics import Metrics
from jobs.schedule import Schedule
from jobs.scheduled import ExportSetup, ScheduledExport
from jobs.stopping import StopRequest
from jobs.systemd import Supervisor
from storage.attention import read_current_usages
from storage.errors import StorageError
from storage.runs import read_last_success
from storage.schema import HEAD_REVISION, open_stored, read_revision, require_schema

# How often the scheduler stirs, to show that it is alive and to see whether a sleep has made it late.
_BEAT = timedelta(seconds=20)
# Without a beat for so long, the scheduler is dead.
_DEAD_SECONDS = 120.0
# How long the batch in hand may take to be committed when the service is asked to stop.
_GRACE_SECONDS = 30.0
_EXPORT_JOB = "export"

log = structlog.get_logger()


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler 3 has no types
    """APScheduler's trigger for a :class:`~jobs.schedule.Schedule`, with a jitter of our own.

    APScheduler's jitter can skip a day around a clock change, and its cron trigger reads a local time that a
    clock change repeats as two.

    Args:
        schedule: When the export is due.
        jitter_seconds: Each instant is delayed by up to so much, by the same each time it is asked for.
    """

    def __init__(self, schedule: Schedule, jitter_seconds: float) -> None:
        self._schedule = schedule
        self._jitter_seconds = jitter_seconds
        self._salt = random.random()  # noqa: S311 # other services shall wait for other lengths, no more

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first delayed instant after the previous one, or after now (aware)."""
        after = max(previous_fire_time or now, now)
        due = self._schedule.next_after(after - timedelta(seconds=self._jitter_seconds))
        while due is not None and (delayed := due + self._delay(due)) <= after:
            due = self._schedule.next_after(due)
        return None if due is None else delayed

    def _delay(self, due: datetime) -> timedelta:
        chance = random.Random(f"{self._salt} {due.isoformat()}")  # noqa: S311 # the same for the same instant
        return timedelta(seconds=chance.uniform(0, self._jitter_seconds))


class Service:
    """Runs until it is asked to stop.

    Args:
        load: Reads the configuration; called at start and for each reload.
        supervisor: Who started the service, if it wants to be told.
        observe: Shows how a run goes on.
        clock: Gives the present instant (aware, UTC).
    """

    def __init__(
        self,
        load: Callable[[], ExportSetup],
        *,
        supervisor: Supervisor,
        observe: Callable[[], AbstractContextManager[Observer]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._load = load
        self._supervisor = supervisor
        self._clock = clock
        self._stop = StopRequest()
        self._wants_reload = threading.Event()
        self._at_work = threading.Lock()
        self._last_beat = time.monotonic()
        self._metrics = Metrics(clock)
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._export = ScheduledExport(
            load(), clock=clock, stop=self._stop, metrics=self._metrics, observe=observe
        )

    @property
    def _setup(self) -> ExportSetup:
        return self._export.setup

    def serve(self) -> int:
        """Serves until a signal ends it.

        Returns:
            The exit status: 0 after SIGTERM or SIGINT, otherwise what has happened.

        Raises:
            ConfigurationError: The health port cannot be listened on, or the schedule is never due.
            StorageError: The database cannot be opened or migrated.
        """
        setup = self._setup
        require_schema(setup.engine, auto_migrate=setup.settings.database.auto_migrate)
        self._show_stored()
        health = setup.settings.health
        with ExitStack() as running:
            port = running.enter_context(
                serve_health(
                    health.host,
                    health.port,
                    alive=self._examine_life,
                    ready=self._examine_freshness,
                    registry=self._metrics.registry,
                )
            )
            running.enter_context(self._signals())
            self._start_scheduler()
            running.callback(self._scheduler.shutdown, wait=False)
            status = f"next run due {self._next_due():%Y-%m-%d %H:%M} UTC"
            log.info(
                "service.started",
                schedule=setup.schedule.name,
                health=f"http://{health.host}:{port}",
                status=status,
            )
            self._supervisor.ready(status)
            return self._watch()

    def _start_scheduler(self) -> None:
        self._schedule_export()
        self._scheduler.add_job(
            self._beat,
            IntervalTrigger(seconds=int(_BEAT.total_seconds()), timezone=UTC),
            id="heartbeat",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=self._clock(),
        )
        self._scheduler.start()

    def _schedule_export(self) -> None:
        setup = self._setup
        self._next_due()
        self._scheduler.add_job(
            self._attend,
            ScheduleTrigger(setup.schedule, setup.settings.schedule.jitter_seconds),
            id=_EXPORT_JOB,
            replace_existing=True,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def _next_due(self) -> datetime:
        due = self._setup.schedule.next_after(self._clock())
        if due is None:
            raise ConfigurationError(f"schedule.cron: {self._setup.schedule.line!r} is never due; mend it")
        self._metrics.expect_run(due)
        return due

    def _beat(self) -> None:
        """Shows that the scheduler is alive, and starts what a sleep, a failure or another process left."""
        self._last_beat = time.monotonic()
        self._metrics.beat(self._clock())
        if self._export.is_wanted() and not self._at_work.locked() and not self._within_jitter():
            self._scheduler.add_job(
                self._attend, id="left over", replace_existing=True, misfire_grace_time=None
            )

    def _within_jitter(self) -> bool:
        """Whether the last due instant is so near that the delay of its own job may still be running."""
        now = self._clock()
        due = self._setup.schedule.last_due(now)
        jitter = timedelta(seconds=self._setup.settings.schedule.jitter_seconds)
        return due is not None and now - due < jitter

    def _attend(self) -> None:
        """Does what is due, one at a time; whatever goes wrong, the next day is attended to as well."""
        if self._stop.is_made or not self._at_work.acquire(blocking=False):
            return
        try:
            self._export.attend()
            self._next_due()
        except Exception:
            log.exception("service.export_crashed")
        finally:
            self._at_work.release()

    def _watch(self) -> int:
        """Waits for signals, and for the scheduler to die."""
        while not self._stop.wait(1.0):
            if time.monotonic() - self._last_beat > _DEAD_SECONDS:
                log.critical(
                    "service.scheduler_died", silent_seconds=round(time.monotonic() - self._last_beat)
                )
                return exits.SOME_FAILED
            self._supervisor.alive()
            if self._wants_reload.is_set():
                self._wants_reload.clear()
                self._reload()
        self._supervisor.stopping()
        log.info("service.stopping", grace_seconds=_GRACE_SECONDS)
        if not self._at_work.acquire(timeout=_GRACE_SECONDS):
            log.error("service.stopped_in_the_middle", hint="the next run makes up for it")
            return exits.SOME_FAILED
        log.info("service.stopped")
        return exits.SUCCEEDED

    def _reload(self) -> None:
        """Reads the configuration anew; if it cannot be used, the old one stays."""
        self._supervisor.reloading()
        old = self._setup
        try:
            self._export.setup = self._load()
            require_schema(self._setup.engine, auto_migrate=self._setup.settings.database.auto_migrate)
            self._schedule_export()
        except (ConfigurationError, StorageError) as exc:
            self._export.setup = old
            log.warning("service.reload_failed", error=str(exc), hint="the old configuration stays in use")
        else:
            log.info("service.reloaded", schedule=self._setup.schedule.name)
            if self._setup.settings.health != old.settings.health:
                log.warning(
                    "service.health_port_unchanged", hint="restart the service to move the health port"
                )
        self._supervisor.ready(f"next run due {self._next_due():%Y-%m-%d %H:%M} UTC")

    def _show_stored(self) -> None:
        """Shows what earlier processes have stored, so that a restart looks like none."""
        with open_stored(self._setup.engine) as connection:
            if connection is None:
                return
            if (succeeded_at := read_last_success(connection)) is not None:
                self._metrics.succeeded_at(succeeded_at)
            self._metrics.show_organizations(read_current_usages(connection))

    def _examine_life(self) -> Health:
        """Whether the scheduler stirs and knows when to run next."""
        complaints = []
        silent_seconds = time.monotonic() - self._last_beat
        if silent_seconds > _DEAD_SECONDS:
            complaints.append(f"the scheduler has not stirred for {silent_seconds:.0f} s")
        job = self._scheduler.get_job(_EXPORT_JOB)
        if not self._at_work.locked() and (
            job is None or job.next_run_time < self._clock() - timedelta(seconds=_DEAD_SECONDS)
        ):
            complaints.append("no run is scheduled")
        return Health(tuple(complaints))

    def _examine_freshness(self) -> Health:
        """Whether the data is as fresh as the schedule promises, give or take one run."""
        setup, now = self._setup, self._clock()
        try:
            if read_revision(setup.engine) != HEAD_REVISION:
                return Health(("the tables are not those of this version",))
            with open_stored(setup.engine) as connection:
                succeeded_at = None if connection is None else read_last_success(connection)
        except StorageError as exc:
            return Health((str(exc),))
        if succeeded_at is None:
            return Health(("no run has exported every organization yet",))
        last = setup.schedule.last_due(now)
        before = None if last is None else setup.schedule.last_due(last - timedelta(microseconds=1))
        if before is not None and succeeded_at < before:
            return Health((f"the newest full success is of {succeeded_at:%Y-%m-%d %H:%M} UTC",))
        return Health()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the service, SIGHUP has it read its configuration anew."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            # From a thread: a handler interrupts whatever holds the lock that it would wait for.
            threading.Thread(target=self._stop.make, daemon=True).start()

        def reload(_number: int, _frame: FrameType | None) -> None:
            self._wants_reload.set()

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

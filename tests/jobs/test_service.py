"""The service: its trigger, and a process that is started, watched, reloaded and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import ConfigurationError
from jobs.sandbox import Sandbox
from jobs.schedule import Schedule
from jobs.service import ScheduleTrigger, Service
from jobs.serving import build_setup
from jobs.systemd import Supervisor
from storage.database import connect
from tests.exporting import Export, Silent

NOW = datetime(2026, 6, 16, 5, 0, tzinfo=UTC)
_PATIENCE_SECONDS = 20.0


def _fires(trigger: ScheduleTrigger, now: datetime, count: int) -> list[datetime]:
    fired: list[datetime] = []
    for _ in range(count):
        at = trigger.get_next_fire_time(fired[-1] if fired else None, fired[-1] if fired else now)
        assert at is not None
        fired.append(at)
    return fired


def test_without_jitter_it_fires_when_the_schedule_is_due() -> None:
    trigger = ScheduleTrigger(Schedule("15 5 * * *"), 0)

    assert _fires(trigger, NOW, 2) == [NOW + timedelta(minutes=15), NOW + timedelta(days=1, minutes=15)]


def test_an_instant_is_delayed_by_the_same_each_time_it_is_asked_for() -> None:
    trigger = ScheduleTrigger(Schedule("15 5 * * *"), 3600)
    due = NOW + timedelta(minutes=15)

    delayed = trigger.get_next_fire_time(None, NOW)

    assert delayed is not None
    assert due < delayed <= due + timedelta(hours=1)
    assert trigger.get_next_fire_time(None, due) == delayed
    # Asked after a restart, and while the delay is running.
    assert trigger.get_next_fire_time(None, due + (delayed - due) / 2) == delayed


def test_services_are_delayed_by_other_lengths() -> None:
    delayed = {ScheduleTrigger(Schedule("15 5 * * *"), 3600).get_next_fire_time(None, NOW) for _ in range(8)}

    assert len(delayed) > 1


def test_after_a_long_sleep_it_fires_once_for_what_lies_ahead() -> None:
    trigger = ScheduleTrigger(Schedule("15 5 * * *"), 0)

    assert trigger.get_next_fire_time(NOW - timedelta(days=9), NOW) == NOW + timedelta(minutes=15)


def test_a_schedule_that_is_never_due_never_fires() -> None:
    assert ScheduleTrigger(Schedule("0 0 30 2 *"), 60).get_next_fire_time(None, NOW) is None


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "Europe/Lisbon", "America/Sao_Paulo", "America/New_York", "Asia/Beirut"]),
    year=st.sampled_from([2015, 2018, 2026]),
    month=st.sampled_from([2, 3, 10, 11]),
    minute=st.integers(0, 4 * 60),
    jitter=st.sampled_from([0.0, 1.0, 1800.0, 3600.0]),
)
def test_every_local_day_is_fired_for_once_within_the_jitter_whatever_the_clocks_do(
    zone: str, year: int, month: int, minute: int, jitter: float
) -> None:
    schedule = Schedule(f"{minute // 60:02}:{minute % 60:02}", zone)
    start = datetime(year, month, 1, 12, tzinfo=UTC)

    fired = _fires(ScheduleTrigger(schedule, jitter), start, 40)

    dues = [schedule.last_due(at) for at in fired]
    assert all(
        due is not None and timedelta() <= at - due <= timedelta(seconds=jitter)
        for at, due in zip(fired, dues, strict=True)
    )
    days = [due.astimezone(ZoneInfo(zone)).date() for due in dues if due is not None]
    assert days == [days[0] + timedelta(days=count) for count in range(40)]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _until(met: Callable[[], Any]) -> Any:  # noqa: ANN401 # whatever is waited for
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := met()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)
    return found


@dataclass
class Running:
    """A service in a process of its own, and the socket to which it tells how it is."""

    process: subprocess.Popen[bytes]
    port: int
    supervisor: socket.socket
    log: Path
    told: list[str] = field(default_factory=list)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False)

    def wait_told(self, line: str, times: int = 1) -> str:
        """Waits until a message with the line has come so often."""
        self.supervisor.settimeout(_PATIENCE_SECONDS)
        while len(found := [message for message in self.told if line in message.split("\n")]) < times:
            self.told.append(self.supervisor.recv(4096).decode())
        return found[-1]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["event"] == name]

    def wait_event(self, name: str) -> dict[str, Any]:
        event: dict[str, Any] = _until(lambda: self.events(name))[-1]
        return event

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE_SECONDS)


@dataclass
class Hosting:
    """Starts services with the configuration of an export."""

    export: Export
    port: int = field(default_factory=_free_port)
    schedule: str = "15 5 * * *"

    def write(self, schedule: str) -> Path:
        self.export.extra = (
            f'[health]\nport = {self.port}\n[schedule]\ncron = "{schedule}"\n[logs]\nformat = "json"'
        )
        return self.export.config

    @contextmanager
    def start(self) -> Iterator[Running]:
        config = self.write(self.schedule)
        address = f"{self.export.folder}/notify"
        log = self.export.folder / "log"
        Path(address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, log.open("wb") as stderr:
            supervisor.bind(address)
            process = subprocess.Popen(
                [sys.executable, "-m", "jobs", "serve", "--config", str(config)],
                env={
                    **os.environ,
                    **self.export.secrets,
                    "NOTIFY_SOCKET": address,
                    "WATCHDOG_USEC": "3000000",
                },
                stderr=stderr,
            )
            try:
                yield Running(process, self.port, supervisor, log)
            finally:
                process.kill()
                process.wait()


@pytest.fixture
def hosting(sandbox: Sandbox, sqlite_export: Export) -> Hosting:
    sandbox.today = None  # the service's own clock is the real one
    return Hosting(sqlite_export)


def test_a_service_catches_up_at_once_tells_how_it_is_reloads_and_stops(hosting: Hosting) -> None:
    hosting.export.sandbox.latency_seconds = 1.0
    with hosting.start() as service:
        assert "STATUS=next run due " in service.wait_told("READY=1")
        assert service.get("/healthz").status_code == 200
        early = service.get("/readyz")
        assert (early.status_code, early.text) == (503, "no run has exported every organization yet\n")
        assert "pipefy_usage_last_success_timestamp_seconds 0.0" in service.get("/metrics").text

        hosting.export.sandbox.latency_seconds = 0.0
        finished = service.wait_event("export.run_finished")
        assert (finished["status"], finished["organizations"]) == ("succeeded", 5)
        assert service.get("/readyz").text == "ok\n"
        service.wait_told("WATCHDOG=1")
        metrics = service.get("/metrics").text
        assert 'pipefy_usage_runs_total{status="succeeded"} 1.0' in metrics
        assert metrics.count("pipefy_usage_tasks{") == 5

        # A configuration that cannot be used leaves the old one.
        hosting.write("no schedule at all")
        service.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in service.wait_told("RELOADING=1")
        service.wait_told("READY=1", times=2)
        refused = service.wait_event("service.reload_failed")
        assert "no schedule at all" in refused["error"]
        assert service.get("/healthz").text == "ok\n"

        hosting.port, told_port = _free_port(), hosting.port
        hosting.write("45 6 * * *")
        service.process.send_signal(signal.SIGHUP)
        assert "06:45 UTC" in service.wait_told("READY=1", times=3)
        assert service.wait_event("service.reloaded")["schedule"] == "45 6 * * * UTC"
        service.wait_event("service.health_port_unchanged")
        assert service.port == told_port
        assert service.get("/healthz").text == "ok\n"

        assert service.stop() == 0
        service.wait_told("STOPPING=1")
        service.wait_event("service.stopped")

    assert {status for (status,) in hosting.export.rows("export_runs", "status")} <= {
        "succeeded",
        "interrupted",
    }
    with hosting.start() as again:
        again.wait_told("READY=1")
        # What was stored is shown before any run: a restart looks like none.
        assert again.get("/readyz").text == "ok\n"
        assert again.get("/metrics").text.count("pipefy_usage_tasks{") == 5
        assert again.stop(signal.SIGINT) == 0


def test_a_service_that_is_stopped_during_a_run_ends_well_and_soon(hosting: Hosting) -> None:
    hosting.export.sandbox.latency_seconds = 60.0
    with hosting.start() as service:
        _until(lambda: hosting.export.sandbox.graphql_requests)

        assert service.stop() == 0

    ((status, message),) = hosting.export.rows("export_runs", "status", "message")
    assert status == "interrupted"
    assert "asked to stop" in message
    assert "Traceback" not in service.log.read_text(encoding="utf-8")


def test_a_health_port_that_is_taken_ends_with_2(hosting: Hosting) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        hosting.port = taken.getsockname()[1]
        hosting.write(hosting.schedule)
        done = hosting.export.command("serve")

    assert done.returncode == 2
    assert f"error: health: cannot listen on 127.0.0.1:{hosting.port}" in done.stderr


def test_a_database_that_cannot_be_opened_ends_with_2(hosting: Hosting) -> None:
    hosting.export.database_url = f"postgresql+psycopg://nobody:hidden@127.0.0.1:{_free_port()}/usage"
    hosting.write(hosting.schedule)

    done = hosting.export.command("serve")

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def _service(hosting: Hosting, now: datetime, environ: Mapping[str, str]) -> Service:
    """A service in this process that believes in an instant."""
    config = hosting.write(hosting.schedule)
    return Service(
        lambda: build_setup(config, hosting.export.secrets, hosting.export.folder),
        supervisor=Supervisor(environ),
        observe=lambda: nullcontext(Silent()),
        clock=lambda: now,
    )


def test_a_schedule_that_is_never_due_is_an_error_of_the_configuration(sqlite_export: Export) -> None:
    hosting = Hosting(sqlite_export, schedule="0 0 30 2 *")

    with pytest.raises(ConfigurationError, match="is never due; mend it"):
        _service(hosting, NOW, {}).serve()


def _serve_until_asked(hosting: Hosting, now: datetime, ask: Callable[[], None]) -> int:
    """Serves in this process at an instant, until somebody has asked what there is to ask."""
    address = f"{hosting.export.folder}/notify"
    service = _service(hosting, now, {"NOTIFY_SOCKET": address})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address)
        supervisor.settimeout(_PATIENCE_SECONDS)

        def wait_and_ask() -> None:
            assert b"READY=1" in supervisor.recv(4096)
            try:
                ask()
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        asking = threading.Thread(target=wait_and_ask)
        asking.start()
        status = service.serve()
        asking.join()
        return status


@pytest.mark.parametrize(
    ("later", "answer"),
    [
        (timedelta(hours=1), (200, "ok\n")),
        (timedelta(days=1, hours=1), (200, "ok\n")),
        (timedelta(days=2, hours=1), (503, "the newest full success is of 2026-06-16 05:15 UTC\n")),
    ],
    ids=["fresh", "one run missed", "two runs missed"],
)
def test_data_is_fresh_unless_two_runs_were_missed(
    sqlite_export: Export, later: timedelta, answer: tuple[int, str]
) -> None:
    hosting, answers = Hosting(sqlite_export), []
    now = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
    sqlite_export.run(now)
    sqlite_export.sandbox.latency_seconds = 60.0

    def ask() -> None:
        got = httpx.get(f"http://127.0.0.1:{hosting.port}/readyz", trust_env=False)
        answers.append((got.status_code, got.text))

    assert _serve_until_asked(hosting, now + later, ask) == 0
    assert answers == [answer]


def test_a_service_whose_tables_are_changed_under_it_is_alive_but_not_ready(sqlite_export: Export) -> None:
    hosting, answers = Hosting(sqlite_export), []
    now = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
    sqlite_export.run(now)
    sqlite_export.sandbox.latency_seconds = 60.0

    def ask() -> None:
        with connect(sqlite_export.engine) as connection, connection.begin():
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        for path in ("/healthz", "/readyz"):
            got = httpx.get(f"http://127.0.0.1:{hosting.port}{path}", trust_env=False)
            answers.append((got.status_code, got.text))

    _serve_until_asked(hosting, now + timedelta(hours=1), ask)

    assert answers == [(200, "ok\n"), (503, "the tables are not those of this version\n")]


def test_a_database_that_fails_meanwhile_is_a_complaint_and_the_service_lives(sqlite_export: Export) -> None:
    hosting, answers = Hosting(sqlite_export), []
    sqlite_export.sandbox.latency_seconds = 60.0

    def ask() -> None:
        (sqlite_export.folder / "usage.db").write_text("no database " * 1000, encoding="utf-8")
        for path in ("/healthz", "/readyz"):
            got = httpx.get(f"http://127.0.0.1:{hosting.port}{path}", trust_env=False)
            answers.append((got.status_code, got.text))

    assert _serve_until_asked(hosting, NOW, ask) == 0

    (alive, ready) = answers
    assert alive == (200, "ok\n")
    assert ready[0] == 503
    assert "not a database" in ready[1]

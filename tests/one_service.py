"""A service in a process of its own, on a clock that runs a day a turn; or a run by hand beside it.

    python -m tests.one_service CONFIG FIRST_DAY DAYS
    python -m tests.one_service CONFIG --manual

It prints a line when it is ready, and begins when it is given one. While a run works, it holds a lock of the
system besides the run lock; if that is taken, two runs are at work, and a file ``overlap`` beside the
configuration says so.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jobs.export import Observer, RunRequest, run_export
from jobs.metrics import Metrics
from jobs.scheduled import ExportSetup, ScheduledExport
from jobs.serving import build_setup
from jobs.stopping import StopRequest
from storage.errors import RunInProgressError
from storage.runs import Outcome
from tests.exporting import NOW


class _Probe:
    """An observer that shows whether another run is at work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / "probe").open("w", encoding="utf-8")
        self._left = 0

    def planned(self, organizations: int) -> None:
        self._left = organizations
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (self._folder / "overlap").touch()

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 # the protocol's
        self._left -= organizations
        if not self._left:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._file.close()


@contextmanager
def _probing(folder: Path) -> Iterator[Observer]:
    probe = _Probe(folder)
    try:
        yield probe
    finally:
        probe.close()


def _serve(setup: ExportSetup, folder: Path, first: date, days: int) -> None:
    """Attends to each day until it is done, looking again whenever the service would."""
    now = datetime(first.year, first.month, first.day, 5, 15, tzinfo=UTC)

    def clock() -> datetime:
        return now

    service = ScheduledExport(
        setup, clock=clock, stop=StopRequest(), metrics=Metrics(clock), observe=lambda: _probing(folder)
    )
    for day in range(days):
        now = datetime(first.year, first.month, first.day, 5, 15, tzinfo=UTC) + timedelta(days=day)
        while service.is_wanted():
            service.attend()
            now += timedelta(seconds=61)
            time.sleep(0.02)


def _run_by_hand(setup: ExportSetup, folder: Path) -> None:
    request = RunRequest(setup.settings, setup.credentials, NOW)
    with suppress(RunInProgressError), _probing(folder) as observer:
        run_export(request, setup.engine, observer)


def main() -> None:
    config, *rest = sys.argv[1:]
    folder = Path(config).parent
    setup = build_setup(Path(config), os.environ, folder)
    print("ready", flush=True)  # noqa: T201 # its caller waits for it
    sys.stdin.readline()
    if rest == ["--manual"]:
        _run_by_hand(setup, folder)
    else:
        _serve(setup, folder, date.fromisoformat(rest[0]), int(rest[1]))


if __name__ == "__main__":
    main()

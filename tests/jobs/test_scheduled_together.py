"""Services and a run by hand on one database, killed at random: one run at a time, one success a day."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.sandbox import Limits, Sandbox
from storage.database import connect
from storage.tables import metadata
from tests.conftest import TODAY
from tests.exporting import Export

_DAYS = 6
_FIRST = date(2026, 6, 16)
_ROUNDS = 2
_SERVICE = (_FIRST.isoformat(), str(_DAYS))
# Between one kill and the next; a day's run takes some tenths of a second.
_LONGEST_PAUSE_SECONDS = 0.5
# What depends on which run was the first to store a row.
_TABLES = [name for name in metadata.tables if name not in {"export_runs", "export_outcomes"}]
_OF_THE_RUN = {"run_id", "first_seen_at", "changed_at", "last_seen_at"}


@pytest.fixture(scope="module")
def serving() -> Iterator[Sandbox]:
    with Sandbox(today=TODAY, organizations=6, limits=Limits(max_requests=None)) as sandbox:
        yield sandbox


def _export(serving: Sandbox, database_url: str, folder: Path) -> Export:
    # Two batches, so that a run can be killed between them.
    return Export(serving, database_url, folder, extra="[export]\norganizations_per_request = 3")


def _start(export: Export, config: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.one_service", str(config), *arguments],
        env={**os.environ, **export.secrets},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _begin(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Lets them begin together, once all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def _finish(processes: Sequence[subprocess.Popen[str]]) -> None:
    _begin(processes)
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def _rows(export: Export) -> dict[str, list[str]]:
    """All usage and organizations, but for which run stored what, and when."""
    stored = {}
    with connect(export.engine) as connection:
        for name in _TABLES:
            columns = [each for each in metadata.tables[name].columns if each.name not in _OF_THE_RUN]
            stored[name] = sorted(repr(tuple(row)) for row in connection.execute(sa.select(*columns)))
    return stored


@pytest.fixture(scope="module")
def unbroken(serving: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What one service leaves that nobody kills."""
    folder = tmp_path_factory.mktemp("unbroken")
    export = _export(serving, f"sqlite:///{folder}/usage.db", folder)
    _finish([_start(export, export.config, *_SERVICE)])
    assert export.rows("export_runs", "status") == [("succeeded",)] * _DAYS
    return _rows(export)


def test_services_that_are_killed_at_random_leave_one_success_a_day_and_what_one_unbroken_leaves(
    serving: Sandbox, unbroken: dict[str, list[str]], database_url: str, tmp_path: Path
) -> None:
    export = _export(serving, database_url, tmp_path)
    config = export.config
    chance = random.Random(7)  # noqa: S311 # the same in every test run
    for _ in range(_ROUNDS):
        processes = [_start(export, config, *_SERVICE) for _ in range(2)] + [
            _start(export, config, "--manual")
        ]
        _begin(processes)
        for process in chance.sample(processes, k=len(processes)):
            time.sleep(chance.uniform(0.0, _LONGEST_PAUSE_SECONDS))
            process.kill()
            process.communicate()
    _finish([_start(export, config, *_SERVICE) for _ in range(2)])

    runs = export.rows("export_runs", "trigger", "scheduled_for", "status")
    due = [f"{_FIRST + timedelta(days=day)} 05:15:00" for day in range(_DAYS)]
    scheduled = sorted((str(at)[:19], status) for trigger, at, status in runs if trigger != "manual")
    assert scheduled == [(at, "succeeded") for at in due]
    assert {status for *_, status in runs} <= {"succeeded", "interrupted"}
    assert not (tmp_path / "overlap").exists()
    assert _rows(export) == unbroken

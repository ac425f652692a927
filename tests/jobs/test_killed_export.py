"""A run that is killed at any step, and the next: together they leave what an unbroken run leaves."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from jobs.sandbox import Limits, Sandbox
from storage.database import connect
from storage.tables import USAGE_TABLES, metadata
from tests.conftest import TODAY
from tests.exporting import Export

# Where a run is killed: shares of all its steps. `make faults` would try each step; these are a spread.
_SHARES = (0.01, 0.2, 0.45, 0.65, 0.8, 0.9, 0.985)

# What is kept apart from the record of runs, and which of its columns say which run it was.
_TABLES = [name for name in metadata.tables if name not in {"export_runs", "export_outcomes"}]
_OF_THE_RUN = {"run_id"}


@pytest.fixture(scope="module")
def serving() -> Iterator[Sandbox]:
    with Sandbox(today=TODAY, organizations=6, limits=Limits(max_requests=None)) as sandbox:
        yield sandbox


def _export(serving: Sandbox, database_url: str, folder: Path) -> Export:
    # Two batches, so that a run can be killed between them.
    return Export(serving, database_url, folder, extra="[export]\norganizations_per_request = 3")


def _run(export: Export, *kill_at: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.one_run", str(export.config), *kill_at],
        env={**os.environ, **export.secrets},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def _stored(export: Export) -> dict[str, Any]:
    """All that is stored in tables and files, but for which run it was."""
    return {
        "files": sorted(
            str(path.relative_to(export.folder))
            for path in (export.folder / "snapshots").rglob("*")
            if path.is_file()
        ),
        "tables": {name: _rows(export, name) for name in _TABLES},
        "snapshots": {table.name: _snapshot_rows(export, table.name) for table in USAGE_TABLES},
    }


def _rows(export: Export, name: str) -> list[str]:
    columns = [column for column in metadata.tables[name].columns if column.name not in _OF_THE_RUN]
    with connect(export.engine) as connection:
        return sorted(repr(tuple(row)) for row in connection.execute(sa.select(*columns)))


def _snapshot_rows(export: Export, name: str) -> list[str]:
    return sorted(map(repr, export.snapshot(name).drop(list(_OF_THE_RUN)).to_pylist()))


@pytest.fixture(scope="module")
def unbroken(serving: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """The number of steps of an unbroken run from nothing, and what it leaves."""
    folder = tmp_path_factory.mktemp("unbroken")
    export = _export(serving, f"sqlite:///{folder}/usage.db", folder)
    run = _run(export)
    assert run.returncode == 0, run.stderr
    return int(run.stdout), _stored(export)


@pytest.mark.parametrize("share", _SHARES)
def test_a_killed_run_and_the_next_leave_what_an_unbroken_run_leaves(
    serving: Sandbox,
    unbroken: tuple[int, dict[str, Any]],
    empty_database_url: str,
    tmp_path: Path,
    share: float,
) -> None:
    steps, expected = unbroken
    export = _export(serving, empty_database_url, tmp_path)

    killed = _run(export, str(max(1, int(steps * share))))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for published in (tmp_path / "snapshots").rglob("*.parquet"):
        pq.read_table(published)  # whatever can be seen is whole

    again = _run(export)
    assert again.returncode == 0, again.stderr
    assert _stored(export) == expected


def test_a_killed_run_is_recorded_as_interrupted_by_the_next(
    serving: Sandbox, unbroken: tuple[int, dict[str, Any]], tmp_path: Path
) -> None:
    export = _export(serving, f"sqlite:///{tmp_path}/usage.db", tmp_path)

    _run(export, str(unbroken[0] // 2))
    _run(export)

    assert sorted(export.rows("export_runs", "status")) == [("interrupted",), ("succeeded",)]

"""The demo: the main job on real components, against the stand-in, without an account."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs.__main__ import run
from jobs.config import load_settings
from jobs.demo import SANDBOX_PORT, run_demo
from jobs.export import Observer
from jobs.report import RunReport
from jobs.sandbox import Sandbox
from storage.runs import RunStatus
from tests.exporting import Export, Silent

NOW = datetime(2026, 6, 16, 23, 59, tzinfo=UTC)


@contextmanager
def _silent() -> Iterator[Observer]:
    yield Silent()


def _demo(folder: Path, now: datetime = NOW) -> list[RunReport]:
    return [report for _, report in run_demo(folder, now, _silent)]


def _export(folder: Path) -> Export:
    return Export(Sandbox(), f"sqlite:///{folder}/usage.db", folder)


def test_it_runs_for_yesterday_and_today(tmp_path: Path) -> None:
    reports = _demo(tmp_path / "new" / "demo")

    assert [report.started_at.date() for report in reports] == [date(2026, 6, 15), date(2026, 6, 16)]
    assert [report.status for report in reports] == [RunStatus.SUCCEEDED] * 2
    first, second = (report.counts for report in reports)
    assert first.organizations == 5
    assert first.rows_inserted > 5 * 30
    # Yesterday was not over yet, and today is new.
    assert second.rows_changed > 0
    assert 0 < second.rows_inserted <= 10
    export = _export(tmp_path / "new" / "demo")
    assert len(export.rows("integrations_usage_daily")) > 5 * 30
    for report in reports:
        assert len(report.snapshots) == 4
        assert export.snapshot("integrations_usage_daily", report.started_at).num_rows > 5 * 30


def test_a_second_demo_of_the_day_changes_no_row(tmp_path: Path) -> None:
    _demo(tmp_path)
    tables = ("integrations_usage_daily", "integrations_usage_monthly", "usage_restatements", "organizations")
    before = {table: _export(tmp_path).rows(table) for table in tables[:3]}

    (again,) = _demo(tmp_path)

    assert (again.counts.rows_inserted, again.counts.rows_changed, again.counts.rows_restated) == (0, 0, 0)
    assert {table: _export(tmp_path).rows(table) for table in tables[:3]} == before


def test_a_demo_of_the_next_day_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    _demo(tmp_path)

    yesterday, today = _demo(tmp_path, NOW + timedelta(days=1))

    assert (yesterday.counts.rows_inserted, yesterday.counts.rows_changed) == (0, 0)
    assert today.counts.rows_changed > 0
    assert _export(tmp_path).rows("usage_restatements") == []


def test_the_configuration_that_it_leaves_asks_the_sandbox_command(tmp_path: Path) -> None:
    _demo(tmp_path)

    settings = load_settings(tmp_path / "config.toml", {})

    assert settings.pipefy.graphql_url == f"http://127.0.0.1:{SANDBOX_PORT}/graphql"
    assert settings.accounts[0].organizations == "all"
    assert settings.snapshots.path == tmp_path / "snapshots"


def test_a_configuration_that_is_no_demos_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("# mine", encoding="utf-8")

    assert run(["demo", "--folder", str(tmp_path)]) == 2

    assert "config.toml is not the demo's; name a --folder of its own" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    assert (tmp_path / "config.toml").read_text(encoding="utf-8") == "# mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")

    assert run(["demo", "--folder", str(tmp_path / "taken" / "demo")]) == 2

    assert "taken/demo cannot be used: Not a directory; name another --folder" in capsys.readouterr().err


def test_the_command_shows_both_runs_some_rows_and_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--folder", str(tmp_path / "a demo")]) == 0

    said = capsys.readouterr().out
    assert said.count("The run of ") == 2
    assert "SELECT organization_name, date, usage, usage_limit FROM usage_daily ORDER BY date DESC" in said
    assert " status --config '" in said
    assert f"sqlite3 -box '{tmp_path}/a demo/usage.db' \"SELECT * FROM usage_daily " in said
    assert f"FROM '{tmp_path}/a demo/snapshots/integrations_usage_daily/*/*.parquet'" in said
    assert (tmp_path / "a demo" / "usage.db").is_file()
    capsys.readouterr()
    assert run(["status", "--config", str(tmp_path / "a demo" / "config.toml")]) == 0

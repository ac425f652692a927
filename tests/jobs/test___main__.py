"""The program as a process: errors become messages and exit statuses, whatever the terminal can show."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.__main__ import main, run
from jobs.sandbox import Sandbox
from tests.exporting import Export


def test_an_error_is_a_message_and_no_traceback(sqlite_export: Export) -> None:
    sqlite_export.extra = "[nonsense]"

    done = sqlite_export.command("run")

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_file_named_by_config_that_is_a_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "--config", str(tmp_path)]) == 2

    assert "is a directory" in capsys.readouterr().err


def test_an_error_of_the_database_ends_with_2(
    sqlite_export: Export, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (sqlite_export.folder / "usage.db").write_text("no database " * 100, encoding="utf-8")
    for name, value in sqlite_export.secrets.items():
        monkeypatch.setenv(name, value)

    assert run(["run", "--config", str(sqlite_export.config)]) == 2

    assert "file is not a database" in capsys.readouterr().err


def test_a_snapshot_that_cannot_be_written_ends_with_1(
    sqlite_export: Export, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (sqlite_export.folder / "snapshots").mkdir()
    (sqlite_export.folder / "snapshots" / "integrations_usage_daily").write_text("a file", encoding="utf-8")
    sqlite_export.sandbox.today = None
    for name, value in sqlite_export.secrets.items():
        monkeypatch.setenv(name, value)

    assert run(["run", "--config", str(sqlite_export.config)]) == 1

    assert "error: cannot write snapshots under" in capsys.readouterr().err
    assert sqlite_export.rows("integrations_usage_daily") != []


def test_a_stream_that_lacks_a_letter_spoils_no_run(sandbox: Sandbox, sqlite_export: Export) -> None:
    sandbox.today = None
    assert not all(each.name.isascii() for each in sandbox.organizations)
    assert sqlite_export.command("run", environ={"PYTHONIOENCODING": "ascii"}).returncode == 0

    status = sqlite_export.command("status", environ={"PYTHONIOENCODING": "ascii"})

    assert status.returncode == 0
    assert "Baob?" in status.stdout


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    command = [sys.executable, "-m", "jobs", "--help"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()

    assert "Traceback" not in said


def test_the_process_ends_with_the_status_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pipefy-usage", "runn"])
    before = signal.getsignal(signal.SIGTERM)

    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        signal.signal(signal.SIGTERM, before)

    assert ended.value.code == 2

"""The commands, as they are typed: what they print, what they leave, and their exit statuses."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click
import httpx
import pytest

from jobs import __version__
from jobs.__main__ import run
from jobs.cli import cli
from jobs.sandbox import Sandbox
from storage.lock import hold_run_lock
from tests.exporting import Export, files_in, image_of
from tests.jobs.display.terminal import COLUMNS, run_in_terminal

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def secrets(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in's secrets in the environment, and its clock as real as the commands'."""
    sandbox.today = None
    for name, value in Export(sandbox, "", tmp_path).secrets.items():
        monkeypatch.setenv(name, value)


def _run(export: Export, command: str, *options: str) -> int:
    return run([command, "--config", str(export.config), *options])


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_each_command_explains_itself_with_an_example(command: str, capsys: Captured) -> None:
    assert run([command, "--help"]) == 0

    said = capsys.readouterr().out
    assert f"Usage: pipefy-usage {command} [OPTIONS]" in said
    assert f"Example:  pipefy-usage {command}" in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_each_option_explains_itself(command: str) -> None:
    options = [each for each in cli.commands[command].params if isinstance(each, click.Option)]

    assert [option.name for option in options if not option.help] == []


def test_the_first_help_says_what_to_try(capsys: Captured) -> None:
    assert run(["-h"]) == 0
    assert run(["--version"]) == 0

    said = capsys.readouterr().out
    assert "pipefy-usage demo" in said
    assert "pipefy-usage init" in said
    assert said.endswith(f"pipefy-usage, version {__version__}\n")


def test_help_is_there_at_once() -> None:
    heavy = ("pandas", "pyarrow", "sqlalchemy", "httpx", "pydantic", "alembic", "starlette", "rich.table")
    program = (
        "import sys; from jobs.__main__ import run; assert run(['--help']) == 0; "
        f"print('loaded:', *[name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "run " in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_a_run_exports_all_and_says_where_it_lies(sqlite_export: Export, capsys: Captured) -> None:
    assert _run(sqlite_export, "run") == 0

    said = capsys.readouterr()
    rows = sum(
        len(sqlite_export.rows(f"integrations_usage_{each}")) for each in ("daily", "monthly", "period")
    )
    assert re.match(
        r"5 organizations · \d+ rows new, 0 changed, 0 restated · 2 requests \(2 billed\)", said.out
    )
    assert f"Database   {sqlite_export.database_url}\n" in said.out
    assert re.search(
        rf"Snapshots  {sqlite_export.folder}/snapshots/\*/snapshot_date=\S+\.parquet \(4 files\)", said.out
    )
    assert rows > 5
    assert "export.planned" in said.err
    assert "organizations=5" in said.err


def test_the_second_run_changes_nothing_and_says_so(sqlite_export: Export, capsys: Captured) -> None:
    sqlite_export.sandbox.share_of_today = 1
    _run(sqlite_export, "run")
    capsys.readouterr()

    assert _run(sqlite_export, "run") == 0

    assert "0 rows new, 0 changed, 0 restated" in capsys.readouterr().out


def test_json_is_all_that_a_run_prints_to_standard_output(sqlite_export: Export) -> None:
    denied = sqlite_export.sandbox.organizations[0]
    sqlite_export.sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]

    done = sqlite_export.command("run", "--json")

    report = json.loads(done.stdout)
    assert done.returncode == report["exit_status"] == 1
    assert report["status"] == "partial"
    assert report["organizations_failed"] == 1
    assert len(report["outcomes"]) == 15
    assert len(report["snapshots"]) == 4
    assert "export.organization_failed" in done.stderr
    assert denied.uuid in done.stderr


def test_a_run_of_which_some_fails_names_it_and_ends_with_1(sqlite_export: Export, capsys: Captured) -> None:
    denied = sqlite_export.sandbox.organizations[0]
    sqlite_export.sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]

    assert _run(sqlite_export, "run") == 1

    said = capsys.readouterr().out
    (failed,) = [line for line in said.splitlines() if line.startswith("failed ")]
    assert f"{denied.uuid}, current_month, last_month, last_3_months: PERMISSION_DENIED" in failed
    assert "Correlation id: " in failed
    assert "5 organizations, 1 failed" in said


def test_a_run_whose_credentials_are_refused_ends_with_2(
    sqlite_export: Export, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET", "wr0ng")

    assert _run(sqlite_export, "run") == 2

    said = capsys.readouterr()
    assert "the client id or secret is not accepted" in said.out
    assert "wr0ng" not in said.out + said.err


@pytest.mark.parametrize("again", [1, 2])
def test_only_the_organizations_that_are_named_are_asked_for(sqlite_export: Export, again: int) -> None:
    first, second, *_ = sqlite_export.sandbox.organizations

    assert _run(sqlite_export, "run", *["-o", first.id, "--organization", second.uuid.upper()] * again) == 0

    assert {uuid for (uuid,) in sqlite_export.rows("integrations_usage_daily", "organization_uuid")} == {
        first.uuid,
        second.uuid,
    }


@pytest.mark.parametrize("again", [1, 2])
def test_only_the_periods_that_are_named_are_asked_for(sqlite_export: Export, again: int) -> None:
    assert _run(sqlite_export, "run", *["--period", "last_month"] * again) == 0

    assert {each for (each,) in sqlite_export.rows("export_outcomes", "period")} == {"last_month"}
    assert sqlite_export.rows("integrations_usage_monthly") == []
    assert len(sqlite_export.rows("export_outcomes")) == 5


def test_an_organization_of_no_account_is_refused_before_anything_is_asked(
    sqlite_export: Export, capsys: Captured
) -> None:
    sqlite_export.organizations = ["300123456"]

    assert _run(sqlite_export, "run", "-o", "5") == 2

    assert "error: " in capsys.readouterr().err
    assert sqlite_export.sandbox.requests == ()
    assert sqlite_export.rows("export_runs") == []


def test_a_word_that_is_no_option_is_refused_with_those_there_are(
    sqlite_export: Export, capsys: Captured
) -> None:
    assert _run(sqlite_export, "run", "--period", "this_month") == 2
    assert run(["runn"]) == 2
    assert run([]) == 2

    said = capsys.readouterr().err
    assert "'this_month' is not one of 'current_month', 'last_month', 'last_3_months'" in said
    assert "No such command 'runn'" in said
    assert "demo" in said
    assert sqlite_export.sandbox.requests == ()


def test_a_dry_run_writes_nothing_at_all(export: Export, capsys: Captured) -> None:
    export.sandbox.share_of_today = 1
    _run(export, "run")
    organization = export.sandbox.organizations[0]
    days = dict(export.rows("integrations_usage_daily", "organization_uuid", "date"))
    day = date.fromisoformat(str(days[organization.uuid]))
    export.sandbox.restate(organization.uuid, day, 4711)
    rows, files = image_of(export), files_in(export.folder)
    capsys.readouterr()

    assert _run(export, "run", "--dry-run") == 0

    assert image_of(export) == rows
    assert files_in(export.folder) == files
    said = capsys.readouterr().out
    assert re.search(rf"change {organization.name}, daily {day}: usage [\d,]+ -> 4,711\n", said)
    assert re.search(r"0 rows would be new, \d would be changed · ", said)
    assert "Nothing was written. Database: " in said


def test_a_dry_run_leaves_a_missing_sqlite_file_missing(sqlite_export: Export, capsys: Captured) -> None:
    sqlite_export.database_url = "sqlite:///other.db"

    assert _run(sqlite_export, "run", "--dry-run", "--json") == 0

    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"] is True
    assert report["rows_inserted"] > 0
    assert sorted(path.name for path in sqlite_export.folder.iterdir()) == ["config.toml", "usage.db"]


def test_while_another_run_is_in_progress_a_run_ends_with_3(export: Export, capsys: Captured) -> None:
    with hold_run_lock(export.engine):
        assert _run(export, "run") == 3

    assert "error: another run is in progress" in capsys.readouterr().err
    assert export.sandbox.requests == ()


@pytest.mark.parametrize("command", ["run", "check", "migrate", "status"])
def test_a_wrong_configuration_touches_nothing(sqlite_export: Export, capsys: Captured, command: str) -> None:
    sqlite_export.database_url = "sqlite:///new.db"
    sqlite_export.extra = '[schedule]\ncron = "daily"\n[exports]'

    assert _run(sqlite_export, command) == 2

    first, second = capsys.readouterr().err.splitlines()
    config = f"{sqlite_export.folder}/config.toml"
    assert first.startswith(
        f"error: {config}: schedule.cron: 'daily' is no schedule; write five crontab fields"
    )
    assert second == f"error: {config}: exports is no key; did you mean export?"
    assert sorted(path.name for path in sqlite_export.folder.iterdir()) == ["config.toml", "usage.db"]
    assert sqlite_export.sandbox.requests == ()


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_secret_touches_nothing(
    sqlite_export: Export, capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET")
    before = files_in(sqlite_export.folder)

    assert _run(sqlite_export, command) == 2

    variable = "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"
    assert capsys.readouterr().err == (
        f"error: account 'main': client_secret_env names the variable {variable}, which is not set; "
        f"set it: export {variable}=...\n"
    )
    assert sqlite_export.sandbox.requests == ()
    assert files_in(sqlite_export.folder) == before


def test_a_place_that_cannot_be_written_is_found_before_anything_is_asked(
    sqlite_export: Export, capsys: Captured
) -> None:
    (sqlite_export.folder / "snapshots").write_text("a file", encoding="utf-8")

    assert _run(sqlite_export, "run") == 2

    assert "snapshots is no folder; name another place, or move that file away" in capsys.readouterr().err
    assert sqlite_export.sandbox.requests == ()
    assert sqlite_export.rows("export_runs") == []


def test_the_configuration_is_found_by_its_variable_and_in_the_working_directory(
    sqlite_export: Export, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sqlite_export.config
    monkeypatch.setenv("PIPEFY_USAGE_CONFIG", str(config))
    assert run(["migrate"]) == 0
    monkeypatch.delenv("PIPEFY_USAGE_CONFIG")
    monkeypatch.chdir(config.parent)
    assert run(["migrate"]) == 0
    config.unlink()
    assert run(["migrate"]) == 2

    said = capsys.readouterr()
    assert said.out == f"{sqlite_export.database_url} was up to date\n" * 2
    assert "config.toml does not exist. Make one with: pipefy-usage init" in said.err


def test_migrate_makes_the_tables_and_says_from_where_to_where(
    sandbox: Sandbox, empty_database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    export = Export(sandbox, empty_database_url, tmp_path)

    assert _run(export, "migrate") == 0
    assert _run(export, "migrate") == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(" went from nothing to 0001")
    assert second.endswith(" was up to date")
    assert export.rows("export_runs") == []


def test_a_run_without_the_right_to_migrate_says_what_to_run(sqlite_export: Export, capsys: Captured) -> None:
    sqlite_export.database_url = "sqlite:///new.db"
    sqlite_export.extra = ""
    config = sqlite_export.config
    config.write_text(
        config.read_text(encoding="utf-8").replace("[database]", "[database]\nauto_migrate = false"),
        encoding="utf-8",
    )

    assert run(["run", "--config", str(config)]) == 2

    assert "has no tables yet; run: pipefy-usage migrate" in capsys.readouterr().err


def test_status_of_nothing_says_what_to_run(sqlite_export: Export, capsys: Captured) -> None:
    sqlite_export.database_url = "sqlite:///new.db"

    assert _run(sqlite_export, "status") == 2
    assert _run(sqlite_export, "status", "--json") == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("new.db holds nothing yet; run: pipefy-usage run") == 2
    assert not (sqlite_export.folder / "new.db").exists()


def test_status_shows_the_last_runs_and_who_is_failing(sqlite_export: Export, capsys: Captured) -> None:
    denied = sqlite_export.sandbox.organizations[2]
    _run(sqlite_export, "run")
    sqlite_export.sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]
    _run(sqlite_export, "run")
    capsys.readouterr()

    assert _run(sqlite_export, "status") == 0
    assert _run(sqlite_export, "status", "--json", "--runs", "1") == 0

    table, _, text = capsys.readouterr().out.partition("\n{")
    assert table.index("partial") < table.index("succeeded")
    assert f"failing {denied.name}: PERMISSION_DENIED: " in table
    read = json.loads("{" + text)
    assert [each["status"] for each in read["runs"]] == ["partial"]
    assert [each["name"] for each in read["organizations"] if each["is_failing"]] == [denied.name]
    assert len(read["organizations"]) == 5


def test_check_says_ok_or_what_mends_it(sqlite_export: Export, capsys: Captured) -> None:
    assert _run(sqlite_export, "check") == 0
    well = capsys.readouterr().out.splitlines()
    sqlite_export.sandbox.deny(sqlite_export.sandbox.organizations[0].uuid)
    sqlite_export.organizations = [sqlite_export.sandbox.organizations[0].uuid]
    assert _run(sqlite_export, "check") == 1
    unwell = capsys.readouterr().out.splitlines()

    assert well[0] == f"ok      configuration: {sqlite_export.folder}/config.toml can be used"
    assert {line.split()[0] for line in well} == {"ok"}
    assert [line for line in unwell if line.startswith("failed  organization ")]


def test_an_interrupted_run_is_recorded_and_ends_with_130(sqlite_export: Export) -> None:
    sqlite_export.sandbox.latency_seconds = 60
    command = [sys.executable, "-m", "jobs", "run", "--config", str(sqlite_export.config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not sqlite_export.sandbox.graphql_requests and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=30)

    assert running.returncode == 130
    assert "Traceback" not in said
    assert sqlite_export.rows("export_runs", "status") == [("interrupted",)]
    assert not (sqlite_export.folder / "snapshots" / ".preparing").exists()


@contextmanager
def _serving(*options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """``pipefy-usage sandbox`` in a process of its own, and what it said when it was up."""
    command = [sys.executable, "-m", "jobs", "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        greeting = ""
        for line in serving.stdout:
            greeting += line
            if line.startswith("Ctrl-C"):
                break
        try:
            yield serving, greeting
        finally:
            serving.kill()


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_what_its_greeting_says_until_it_is_ended(ended_by: signal.Signals) -> None:
    with _serving("--organizations", "3", "--deny", "1", "--today", "2026-06-16") as (serving, greeting):
        (token_url,) = re.findall(r"--token-url (\S+)", greeting)
        (graphql_url,) = re.findall(r"--graphql-url (\S+)", greeting)
        secrets = dict(re.findall(r"export PIPEFY_SERVICE_ACCOUNT_(\w+)=(\S+)", greeting))
        asked = {name.lower(): value for name, value in secrets.items()}
        token = httpx.post(token_url, data={"grant_type": "client_credentials", **asked}).json()[
            "access_token"
        ]
        answer = httpx.post(
            graphql_url,
            json={"query": "{ myUsageStatsOrganizations { uuid name } }"},
            headers={"Authorization": f"Bearer {token}"},
        ).json()
        serving.send_signal(ended_by)
        status = serving.wait(timeout=30)

    readable = [each["uuid"] for each in answer["data"]["myUsageStatsOrganizations"]]
    assert len(readable) == 2
    assert all(uuid in greeting for uuid in readable)
    assert "It has 3 organizations" in greeting
    assert status == 0


def test_a_port_that_is_taken_is_told(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert run(["sandbox", "--port", str(port)]) == 2

    assert f"cannot listen on 127.0.0.1:{port}: " in capsys.readouterr().err


def test_on_a_terminal_a_run_shows_a_table_that_fits(sqlite_export: Export) -> None:
    denied = sqlite_export.sandbox.organizations[0]
    sqlite_export.sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]
    sqlite_export.sandbox.latency_seconds = 0.2

    shown = run_in_terminal(
        ["run", "--config", str(sqlite_export.config)],
        environ=sqlite_export.secrets,
        folder=sqlite_export.folder,
    )

    assert shown.exit_status == 1
    assert re.search(r"Exporting +━+ +0/5 organizations 0:00:0", shown.text)
    (header,) = [line for line in shown.lines if "Organization " in line]
    assert header.split() == ["Organization", "Rows", "New", "Changed", "Result"]
    (row,) = [line for line in shown.lines if "PERMISSION_DENIED" in line and "0     0" in line]
    assert row.split()[-1] == "PERMISSION_DENIED"
    assert shown.text.index("PERMISSION_DENIED") < shown.text.index("ok")
    assert all(f" {each.name} " in shown.text for each in sqlite_export.sandbox.organizations[1:])
    paths = ("Database  ", "Snapshots  ")
    assert [line for line in shown.lines if len(line) > COLUMNS and not line.startswith(paths)] == []
    assert "export.planned" not in shown.text


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["status"], ["check"]])
def test_on_a_terminal_nothing_is_wider_than_it(sqlite_export: Export, command: list[str]) -> None:
    sqlite_export.run()
    sqlite_export.sandbox.deny(sqlite_export.sandbox.organizations[0].uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]

    shown = run_in_terminal(
        [*command, "--config", str(sqlite_export.config)],
        environ=sqlite_export.secrets,
        folder=sqlite_export.folder,
    )

    assert shown.exit_status in {0, 1}
    assert sqlite_export.sandbox.organizations[4].name in shown.text or command == ["check"]
    assert [line for line in shown.lines if len(line) > COLUMNS] == []


def test_a_fault_that_there_is_not_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sandbox", "--fault", "flood:2"]) == 2
    assert "'flood:2' is none; write NAME or NAME:TIMES with one of 429, 429-retry-after" in _folded(
        capsys.readouterr().err
    )


def _folded(text: str) -> str:
    return " ".join(text.split())

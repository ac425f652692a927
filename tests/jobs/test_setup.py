"""``init``: asks what a configuration needs, and writes it."""

import tomllib
from pathlib import Path

import pytest

from jobs.__main__ import run
from jobs.config import load_settings
from jobs.sandbox import Sandbox
from tests.exporting import Export
from tests.jobs.display.terminal import run_in_terminal

UUID = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, in which ``init`` writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_options_alone_give_a_configuration_that_loads(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", "300123456", "-o", UUID, "--database", "postgresql://u@h/d", "--snapshots", "/srv/s"]
    options += ["--cron", "@daily", "--timezone", "Europe/Lisbon", "--token-url", "https://t.test/token"]

    assert run(["init", *options]) == 0

    settings = load_settings(folder / "config.toml", {})
    assert settings.accounts[0].organizations == ["300123456", UUID]
    assert settings.database.url == "postgresql://u@h/d"
    assert settings.snapshots.path == Path("/srv/s")
    assert (settings.schedule.cron, settings.schedule.timezone) == ("@daily", "Europe/Lisbon")
    assert settings.pipefy.graphql_url == "https://api.pipefy.com/graphql"
    assert settings.pipefy.token_url == "https://t.test/token"
    said = capsys.readouterr().out
    assert "Wrote config.toml." in said
    assert "export PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET=..." in said
    assert "USAGE_DATABASE_URL" not in said
    assert said.endswith("  pipefy-usage check\n  pipefy-usage run\n")


def test_every_organization_is_asked_for_by_all(folder: Path) -> None:
    assert run(["init", "--organization", "all"]) == 0

    assert load_settings(folder / "config.toml", {}).accounts[0].organizations == "all"


def test_another_file_is_named_in_the_next_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "-o", "1", "--output", "my usage.toml"]) == 0

    assert "  pipefy-usage run --config 'my usage.toml'\n" in capsys.readouterr().out
    assert (folder / "my usage.toml").is_file()


def test_a_file_that_is_there_is_replaced_only_by_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.toml").write_text("# mine", encoding="utf-8")

    assert run(["init", "-o", "1"]) == 2

    assert (folder / "config.toml").read_text(encoding="utf-8") == "# mine"
    assert "config.toml is there already; add --force to replace it" in capsys.readouterr().err
    assert run(["init", "-o", "1", "--force"]) == 0
    assert load_settings(folder / "config.toml", {}).accounts[0].organizations == ["1"]


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cr3t@h/d", "mysql://u@h/d?password=s3cr3t", "postgresql://u:s3[cr3t@h/d"]
)
def test_a_password_moves_to_a_variable(folder: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert run(["init", "-o", "1", "--database", url]) == 0

    text = (folder / "config.toml").read_text(encoding="utf-8")
    assert "cr3t" not in text
    assert tomllib.loads(text)["database"] == {"url_env": "USAGE_DATABASE_URL"}
    said = capsys.readouterr().out
    assert "export USAGE_DATABASE_URL=..." in said
    assert "cr3t" not in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "no organization is named; add --organization 300123456, or --organization all"),
        (["-o", "acme"], "accounts[0].organizations[0]: 'acme' is neither an organization's number"),
        (["-o", "1", "-o", "all"], '"all" stands alone'),
        (["-o", "1", "-o", "1"], "organization 1 stands twice"),
        (["-o", "1", "--database", "usage.db"], "--database: not a database address; write one like sqlite:"),
        (["-o", "1", "--database", "mongodb://u:s3cr3t@h/d"], "--database: 'mongodb' is not supported"),
        (["-o", "1", "--cron", "daily"], "schedule.cron: 'daily' is no schedule"),
        (["-o", "1", "--timezone", "Mars"], "schedule.timezone: 'Mars' is no time zone"),
        (["-o", "1", "--graphql-url", "http://h.test/x"], "would send secrets unencrypted"),
        (["-o", "1", "--snapshots", "s3://b/k"], "snapshots.path: 's3://b/k' is an address"),
        (
            ["-o", "1", "--output", "no/such/folder.toml"],
            "no/such/folder.toml cannot be written: No such file",
        ),
    ],
)
def test_a_wrong_answer_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert run(["init", *options]) == 2

    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert complaint in said
    assert "s3cr3t" not in said
    assert "draft" not in said
    assert list(folder.iterdir()) == []


def test_a_wrong_answer_leaves_the_file_that_is_there(folder: Path) -> None:
    (folder / "config.toml").write_text("# mine", encoding="utf-8")

    assert run(["init", "-o", "acme", "--force"]) == 2

    assert (folder / "config.toml").read_text(encoding="utf-8") == "# mine"


def test_a_person_is_asked_for_what_no_option_says(folder: Path) -> None:
    shown = run_in_terminal(
        ["init"],
        environ={},
        folder=folder,
        answers=[
            ("[all]:", f"300123456, {UUID}"),
            ("[sqlite:///usage.db]:", "sqlite:///data.db"),
            ("[snapshots]:", ""),
        ],
    )

    assert shown.exit_status == 0
    assert "Wrote config.toml." in shown.text
    settings = load_settings(folder / "config.toml", {})
    assert settings.accounts[0].organizations == ["300123456", UUID]
    assert settings.database.url == "sqlite:///data.db"
    assert settings.snapshots.path == folder / "snapshots"


def test_a_person_who_leaves_is_left_nothing(folder: Path) -> None:
    shown = run_in_terminal(["init", "-o", "1"], environ={}, folder=folder, answers=[("usage.db]:", "\x04")])

    assert shown.exit_status == 130
    assert list(folder.iterdir()) == []


def test_what_init_writes_runs_against_the_stand_in(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.today = None
    for name, value in Export(sandbox, "", folder).secrets.items():
        monkeypatch.setenv(name, value)
    urls = ["--graphql-url", sandbox.graphql_url, "--token-url", sandbox.token_url]

    assert run(["init", "-o", "all", *urls]) == 0
    assert run(["check"]) == 0
    assert run(["run"]) == 0

    export = Export(sandbox, f"sqlite:///{folder}/usage.db", folder)
    assert len(export.rows("organizations")) == 5

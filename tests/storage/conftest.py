"""One migrated database of each kind, shared by all tests that leave nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import build_engine, connect, parse_url

KINDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="session")
def shared_sqlite(sqlite_template: Path) -> sa.URL:
    return parse_url(f"sqlite:///{sqlite_template}")


@pytest.fixture(scope="session")
def shared_postgresql(postgresql_server: sa.URL, postgresql_template: str) -> sa.URL:
    return postgresql_server.set(database=postgresql_template)


@pytest.fixture(scope="session")
def shared_mariadb(mariadb_migrated: str) -> sa.URL:
    return parse_url(mariadb_migrated)


@pytest.fixture(params=KINDS)
def shared_engine(request: pytest.FixtureRequest) -> sa.Engine:
    """Each kind of migrated database in turn, for tests that commit nothing."""
    return build_engine(request.getfixturevalue(f"shared_{request.param}"))


@pytest.fixture
def connection(shared_engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction that is rolled back, to each kind of migrated database in turn."""
    with connect(shared_engine) as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()

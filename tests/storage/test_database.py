"""Opening a database, and telling what is wrong without telling secrets."""

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import build_engine, connect, masked, parse_url, reading, sqlite_path
from storage.errors import DatabaseError, DatabaseUnavailableError
from storage.organizations import Organization, read_organizations, upsert_organizations
from storage.tables import organizations
from tests.storage.frames import ACME, NOW

# Nobody listens at port 1.
NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("text", "drivername"),
    [
        ("sqlite:///usage.db", "sqlite"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d", "mariadb+pymysql"),
        ("mysql+mysqldb://u@h/d", "mysql+mysqldb"),
    ],
)
def test_an_address_without_a_driver_gets_the_tested_one(text: str, drivername: str) -> None:
    assert parse_url(text).drivername == drivername


def test_all_of_an_address_is_kept() -> None:
    url = parse_url("postgresql://user:p%40ss@db.example:5433/usage?sslmode=require")

    assert (url.username, url.password, url.host, url.port) == ("user", "p@ss", "db.example", 5433)
    assert (url.database, url.query["sslmode"]) == ("usage", "require")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a database address"),
        ("usage.db", "not a database address"),
        ("postgresql://user:hunter2@host:port/usage", "not a database address"),
        ("postgresql://user:hun@ter2:x@host/usage", "not a database address"),
        ("oracle://user:hunter2@host/usage", "'oracle' is not supported"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("sqlite:///file::memory:?uri=true", "uri=true"),
        ("postgresql://user:hunter2@host", "names no database"),
        ("mysql://user:hunter2@host/", "names no database"),
    ],
)
def test_an_unusable_address_is_refused_without_its_password(text: str, message: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match=message) as refusal:
        parse_url(text)

    assert "hunter2" not in str(refusal.value)
    assert "ter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hunter2@host/usage",
        "postgresql://user@host/usage?password=hunter2",
        "mysql://user:hunter2@host/usage?passwd=hunter2&ssl_key_password=hunter2",
    ],
)
def test_people_read_an_address_without_its_password(text: str) -> None:
    shown = masked(parse_url(text))

    assert "hunter2" not in shown
    assert "host/usage" in shown


def test_only_sqlite_has_a_file() -> None:
    assert sqlite_path(parse_url("sqlite:////var/usage.db")) == Path("/var/usage.db")
    assert sqlite_path(parse_url("postgresql://u@h/usage.db")) is None


@pytest.mark.parametrize(
    ("text", "module", "mend"),
    [
        ("postgresql://u:hunter2@h/d", "psycopg", r"pip install 'pipefy-usage-export\[postgres\]'"),
        ("mysql://u:hunter2@h/d", "pymysql", r"pip install 'pipefy-usage-export\[mysql\]'"),
        ("postgresql+asyncpg://u:hunter2@h/d", "asyncpg", r"leave \+asyncpg out of the address"),
        ("postgresql+nonsense://u:hunter2@h/d", "nonsense", r"leave \+nonsense out of the address"),
    ],
)
def test_a_missing_driver_is_told_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, text: str, module: str, mend: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(DatabaseUnavailableError, match=mend) as refusal:
        build_engine(parse_url(text))

    assert f"driver '{module}'" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:hunter2@{NOBODY}/usage",
        f"postgresql://user@{NOBODY}/usage?password=hunter2",
        f"mysql://user:hunter2@{NOBODY}/usage",
        f"mariadb://user:hunter2@{NOBODY}/usage",
    ],
)
def test_a_server_that_is_not_there_is_told_without_the_password(text: str) -> None:
    engine = build_engine(parse_url(text))

    with pytest.raises(DatabaseUnavailableError, match=r"cannot open .*127\.0\.0\.1:1/usage") as failure:
        connect(engine).__enter__()

    assert "hunter2" not in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_an_option_that_the_driver_does_not_know_is_told(scheme: str) -> None:
    engine = build_engine(parse_url(f"{scheme}://user:hunter2@{NOBODY}/usage?colour=green"))

    with pytest.raises(DatabaseUnavailableError, match="colour") as failure:
        connect(engine).__enter__()

    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize("server", ["postgresql_server", "mariadb_server"])
def test_a_database_that_is_not_on_the_server_cannot_be_opened(
    request: pytest.FixtureRequest, server: str
) -> None:
    url = request.getfixturevalue(server).set(database="no_such_database")

    with pytest.raises(DatabaseUnavailableError, match="no_such_database"):
        connect(build_engine(url)).__enter__()


def test_a_sqlite_file_in_no_folder_cannot_be_opened(tmp_path: Path) -> None:
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/missing/usage.db"))

    with pytest.raises(DatabaseUnavailableError, match=r"missing/usage\.db: unable to open database file"):
        connect(engine).__enter__()


def test_a_file_that_is_no_database_cannot_be_opened_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    path.write_text("date,usage\n" * 100, encoding="utf-8")

    with pytest.raises(DatabaseUnavailableError, match="file is not a database"):
        connect(build_engine(parse_url(f"sqlite:///{path}"))).__enter__()

    assert path.read_text(encoding="utf-8") == "date,usage\n" * 100


def test_a_refused_statement_is_told_without_the_statement_and_its_values(shared_engine: sa.Engine) -> None:
    row = {"uuid": ACME, "account": "main", "name": "Hush", "first_seen_at": NOW, "last_seen_at": NOW}

    with pytest.raises(DatabaseError, match="refused: ") as failure, connect(shared_engine) as connection:
        connection.execute(organizations.insert(), [row, row])

    assert not isinstance(failure.value, DatabaseUnavailableError)
    for hidden in ("INSERT", "Hush", "sqlalche.me", "\n"):
        assert hidden not in str(failure.value)


def test_what_a_failed_statement_had_begun_is_rolled_back(shared_engine: sa.Engine) -> None:
    def write_and_fail(connection: sa.Connection) -> None:
        upsert_organizations(connection, [Organization(ACME, "main")], at=NOW)
        connection.exec_driver_sql("SELECT no_such_column FROM organizations")

    with pytest.raises(DatabaseError), connect(shared_engine) as connection:
        write_and_fail(connection)

    with connect(shared_engine) as connection:
        assert read_organizations(connection) == []


def test_an_error_that_is_not_the_databases_passes_as_it_is(sqlite_engine: sa.Engine) -> None:
    with pytest.raises(ZeroDivisionError), connect(sqlite_engine):
        raise ZeroDivisionError


def test_readers_see_the_last_commit_while_a_run_writes(engine: sa.Engine) -> None:
    with connect(engine) as writer, connect(reading(engine)) as reader:
        with writer.begin():
            upsert_organizations(writer, [Organization(ACME, "main")], at=NOW)
            assert read_organizations(reader) == []
        reader.rollback()
        assert read_organizations(reader) == [Organization(ACME, "main")]


@pytest.mark.parametrize("server", ["postgresql_url", "mariadb_url"])
def test_a_value_that_does_not_fit_is_refused_and_never_cut(
    request: pytest.FixtureRequest, server: str
) -> None:
    engine = build_engine(parse_url(request.getfixturevalue(server)))

    with pytest.raises(DatabaseError, match="too long"), connect(engine) as connection:
        upsert_organizations(connection, [Organization(ACME, "x" * 101)], at=NOW)


def test_a_committed_row_is_on_the_disk_of_sqlite(sqlite_engine: sa.Engine) -> None:
    with connect(sqlite_engine) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"

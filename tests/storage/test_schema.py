"""The schema's version: brought up to date, or refused with what mends it."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import build_engine, connect, parse_url
from storage.errors import DatabaseUnavailableError, SchemaError
from storage.schema import HEAD_REVISION, migrate, open_stored, read_revision, require_schema

MIGRATE = """
import sys
import alembic.command
from storage.database import build_engine, parse_url
from storage.schema import migrate

print("ready", flush=True)
print(*migrate(build_engine(parse_url(sys.argv[1]))))
"""


@pytest.fixture
def empty_engine(empty_database_url: str) -> sa.Engine:
    """A database without tables, on each kind of database in turn."""
    return build_engine(parse_url(empty_database_url))


@pytest.fixture
def empty_sqlite(tmp_path: Path) -> sa.Engine:
    return build_engine(parse_url(f"sqlite:///{tmp_path}/usage.db"))


def _set_revision(engine: sa.Engine, revision: str) -> None:
    with connect(engine) as connection, connection.begin():
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


@pytest.fixture
def newer(sqlite_engine: sa.Engine) -> sa.Engine:
    """A database that a later version of the program has migrated."""
    _set_revision(sqlite_engine, "9999")
    return sqlite_engine


def test_a_database_is_migrated_from_nothing_and_then_is_up_to_date(empty_engine: sa.Engine) -> None:
    assert read_revision(empty_engine) is None
    assert migrate(empty_engine) == (None, HEAD_REVISION)
    assert read_revision(empty_engine) == HEAD_REVISION
    assert migrate(empty_engine) == (HEAD_REVISION, HEAD_REVISION)


def test_two_migrations_at_once_wait_for_each_other(empty_engine: sa.Engine, empty_database_url: str) -> None:
    others: list[subprocess.Popen[str]] = []

    def start_other(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "CREATE TABLE export_outcomes" in " ".join(statement.replace("IF NOT EXISTS ", "").split()):
            command = [sys.executable, "-c", MIGRATE, empty_database_url]
            other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            others.append(other)
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.3)

    sa.event.listen(empty_engine, "before_cursor_execute", start_other)

    migrate(empty_engine)

    (other,) = others
    output, _ = other.communicate(timeout=30)
    assert other.returncode == 0
    assert output.split()[-1] == HEAD_REVISION
    assert read_revision(empty_engine) == HEAD_REVISION


def test_an_empty_database_is_migrated_where_that_is_allowed(empty_sqlite: sa.Engine) -> None:
    require_schema(empty_sqlite, auto_migrate=True)

    assert read_revision(empty_sqlite) == HEAD_REVISION


def test_an_empty_database_is_refused_where_migrating_is_not_allowed(empty_sqlite: sa.Engine) -> None:
    with pytest.raises(
        SchemaError, match=r"has no tables yet; run: pipefy-usage migrate \(or set auto_migrate"
    ):
        require_schema(empty_sqlite, auto_migrate=False)

    assert read_revision(empty_sqlite) is None


def test_a_database_that_is_up_to_date_needs_nothing(shared_engine: sa.Engine) -> None:
    require_schema(shared_engine, auto_migrate=False)
    require_schema(shared_engine, auto_migrate=True)


def test_another_revision_is_refused_where_migrating_is_not_allowed(newer: sa.Engine) -> None:
    with pytest.raises(SchemaError, match=r"revision 9999.*install that version or a later one"):
        require_schema(newer, auto_migrate=False)


def test_a_newer_database_is_refused_and_left_alone(engine: sa.Engine) -> None:
    _set_revision(engine, "9999")
    try:
        for refuse in (migrate, lambda engine: require_schema(engine, auto_migrate=True)):
            with pytest.raises(SchemaError, match=r"revision 9999.*install that version or a later one"):
                refuse(engine)
        assert read_revision(engine) == "9999"
    finally:
        _set_revision(engine, HEAD_REVISION)


def test_a_refused_schema_names_the_database_without_its_password(
    monkeypatch: pytest.MonkeyPatch, postgresql_server: sa.URL
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(SchemaError) as refusal:
        require_schema(build_engine(postgresql_server.set(password="hunter2")), auto_migrate=False)

    assert "hunter2" not in str(refusal.value)


def test_what_is_stored_is_opened_for_reading(shared_engine: sa.Engine) -> None:
    with open_stored(shared_engine) as connection:
        assert connection is not None
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM export_runs")) == 0


def test_a_database_without_tables_has_nothing_stored(empty_sqlite: sa.Engine) -> None:
    read_revision(empty_sqlite)

    with open_stored(empty_sqlite) as connection:
        assert connection is None


def test_looking_for_a_sqlite_file_does_not_make_one(tmp_path: Path, empty_sqlite: sa.Engine) -> None:
    with open_stored(empty_sqlite) as connection:
        assert connection is None

    assert list(tmp_path.iterdir()) == []


def test_tables_of_another_version_are_not_opened(newer: sa.Engine) -> None:
    with pytest.raises(SchemaError, match="9999"):
        open_stored(newer)


def test_a_database_that_is_not_there_is_told_before_anything_is_migrated(tmp_path: Path) -> None:
    engine = build_engine(parse_url(f"sqlite:///{tmp_path}/missing/usage.db"))

    for open_it in (read_revision, migrate):
        with pytest.raises(DatabaseUnavailableError):
            open_it(engine)

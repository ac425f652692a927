"""Opening SQLite, PostgreSQL, MySQL or MariaDB, each with the settings that keep data safe."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from storage.errors import DatabaseError, DatabaseUnavailableError

# How long a statement waits for another writer before it gives up.
BUSY_SECONDS = 30
CONNECT_SECONDS = 10

# The short names that people write, and the driver that this project is tested with.
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}


def parse_url(text: str) -> sa.URL:
    """The address of a database, its driver filled in.

    Raises:
        DatabaseUnavailableError: It is no address of a supported database, or an in-memory one.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # The text may hold a password, so neither it nor what the parser says of it is repeated.
        raise DatabaseUnavailableError(
            "not a database address; write one like sqlite:///usage.db, "
            "postgresql://user@host/database or mysql://user@host/database "
            "(in a password, @ is written %40, : is %3A and / is %2F)"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql", "mysql", "mariadb"}:
        raise DatabaseUnavailableError(
            f"{backend!r} is not supported; use sqlite, postgresql, mysql or mariadb"
        )
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise DatabaseUnavailableError(
            "an in-memory SQLite database forgets everything at the end of the run; write sqlite:///usage.db"
        )
    if backend == "sqlite" and "uri" in url.query:
        # Beside the file lies the lock of the run, and a URI need not name a file.
        raise DatabaseUnavailableError(
            "a SQLite address with uri=true is not supported; write sqlite:///usage.db"
        )
    if backend != "sqlite" and not url.database:
        raise DatabaseUnavailableError(f"{masked(url)} names no database; add /NAME to its end")
    return url


def masked(url: sa.URL) -> str:
    """The address with ``***`` for its password and without options, which may be secret too, for people."""
    return url.set(query={}).render_as_string(hide_password=True)


def sqlite_path(url: sa.URL) -> Path | None:
    """The file of a SQLite database, or None for a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def build_engine(url: sa.URL) -> sa.Engine:
    """An engine without a pool: a run holds one connection, and gives it back when it ends.

    Raises:
        DatabaseUnavailableError: The driver is not installed, or there is none of that name.
    """
    try:
        engine = sa.create_engine(url, poolclass=NullPool, connect_args=_connect_args(url))
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as exc:
        driver = url.drivername.partition("+")[2]
        mend = f"leave +{driver} out of the address"
        if driver in _EXTRAS:
            mend = f"run: pip install 'pipefy-usage-export[{_EXTRAS[driver]}]'"
        raise DatabaseUnavailableError(
            f"the driver {driver!r} for {masked(url)} is not installed; {mend}"
        ) from exc
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_args(url: sa.URL) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            # Threads take turns with the one connection, which sqlite3 would otherwise refuse.
            return {"timeout": BUSY_SECONDS, "check_same_thread": False}
        case "postgresql":
            return {
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "pipefy-usage-export",
                "options": " ".join(
                    (_options(url), "-c timezone=UTC", f"-c lock_timeout={BUSY_SECONDS}s")
                ).strip(),
            }
        case _:
            return {
                "connect_timeout": CONNECT_SECONDS,
                "charset": "utf8mb4",
                # Without strict mode MariaDB would store a value that does not fit as another one.
                "init_command": "SET SESSION sql_mode='TRADITIONAL', time_zone='+00:00', "
                f"lock_wait_timeout={BUSY_SECONDS}, innodb_lock_wait_timeout={BUSY_SECONDS}",
            }


def _options(url: sa.URL) -> str:
    """The ``options`` of a PostgreSQL address, such as a search path; ours are added to them."""
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy's BEGIN below is the only one: the driver's own comes too late for a consistent read.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Readers go on while a run writes, and a commit is on the disk before it returns.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: upgrading later could fail half-way through a transaction.
    mode = "DEFERRED" if connection.get_execution_options().get("reading") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")


def reading(engine: sa.Engine) -> sa.Engine:
    """The same database for reading only: it never waits for a writer."""
    return engine.execution_options(reading=True)


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection, with the driver's errors translated.

    Raises:
        DatabaseUnavailableError: The database could not be opened.
        DatabaseError: A statement failed; the open transaction was rolled back.
    """
    with translated_errors(engine):
        try:
            connection = engine.connect()
        except (sa.exc.DBAPIError, TypeError) as exc:
            # PyMySQL says of an option that it does not know that its type is wrong.
            raise DatabaseUnavailableError(f"cannot open {masked(engine.url)}: {_cause(exc)}") from exc
        with connection:
            yield connection


@contextmanager
def translated_errors(engine: sa.Engine) -> Iterator[None]:
    """Turns SQLAlchemy's errors into :class:`~storage.errors.DatabaseError`, without statements or values."""
    try:
        yield
    except sa.exc.SQLAlchemyError as exc:
        raise DatabaseError(f"{masked(engine.url)} refused: {_cause(exc)}") from exc


def _cause(error: Exception) -> str:
    # The driver's own words; SQLAlchemy's would add the statement and its values.
    original = getattr(error, "orig", None)
    return " ".join(str(original or error).split())

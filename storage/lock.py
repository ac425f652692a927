"""One run at a time: the lock lives in the database and dies with its holder."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from storage.database import connect, masked, sqlite_path
from storage.errors import DatabaseUnavailableError, RunInProgressError

_NAME = "pipefy-usage-export.run"
# PostgreSQL's advisory locks are numbers; ours is derived from the name, so that it meets no other program's.
_NUMBER = zlib.crc32(_NAME.encode())


@contextmanager
def hold_run_lock(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Takes the lock, without waiting, and gives the connection that holds it.

    All that the run writes goes through this connection: whoever loses it loses the lock and the open
    transaction together, so a run that was cut off can never write beside its successor.

    On SQLite the lock is an open transaction on a file of its own beside the database
    (``usage.db.lock``), which the operating system frees when the process ends, however it ends.

    Raises:
        RunInProgressError: Another run holds the lock.
        DatabaseUnavailableError: The database could not be opened.
    """
    path = sqlite_path(engine.url)
    if path is not None:
        # Whatever links lead to it, one database has one lock.
        with _lock_beside(path.resolve()), connect(engine) as connection:
            yield connection
        return
    with connect(engine) as connection:
        taken, release = _server_lock(engine)
        if not connection.scalar(taken):
            raise RunInProgressError(f"another run is in progress on {masked(engine.url)}")
        connection.commit()
        try:
            yield connection
        finally:
            if not connection.invalidated:
                connection.rollback()
                connection.execute(release)
                connection.commit()


def _server_lock(engine: sa.Engine) -> tuple[sa.Select[tuple[int]], sa.Select[tuple[int]]]:
    if engine.dialect.name == "postgresql":
        return (
            sa.select(sa.func.pg_try_advisory_lock(_NUMBER)),
            sa.select(sa.func.pg_advisory_unlock(_NUMBER)),
        )
    # Named locks of MariaDB are the whole server's, so the name holds the database's.
    name = f"{_NAME}.{zlib.crc32((engine.url.database or '').encode()):08x}"
    return sa.select(sa.func.get_lock(name, 0)), sa.select(sa.func.release_lock(name))


@contextmanager
def _lock_beside(database: Path) -> Iterator[None]:
    path = database.with_name(f"{database.name}.lock")
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.OperationalError as exc:
        raise DatabaseUnavailableError(f"cannot create {path}: {exc}") from exc
    with closing(connection):
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise RunInProgressError(f"another run is in progress on {database}") from exc
            raise DatabaseUnavailableError(f"cannot lock {path}: {exc}") from exc
        yield

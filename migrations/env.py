"""How Alembic reaches the database: one migration at a time, whole or not at all where the database can.

The program hands over its engine; on the command line (``alembic upgrade head``) the address is taken from
``PIPEFY_USAGE__DATABASE__URL``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import context

from storage.database import BUSY_SECONDS, build_engine, parse_url
from storage.errors import DatabaseError
from storage.tables import metadata

_LOCK = "pipefy-usage-export.migrate"
_LOCK_NUMBER = 1_830_224_861  # any number that no other program uses


def _engine() -> sa.Engine:
    handed_over: sa.Engine | None = context.config.attributes.get("engine")
    return handed_over or build_engine(parse_url(os.environ["PIPEFY_USAGE__DATABASE__URL"]))


@contextmanager
def _one_at_a_time(connection: sa.Connection) -> Iterator[None]:
    """A second migration waits here, then finds nothing left to do.

    The lock is held beyond the transaction: whoever waits for it must see what was committed. On SQLite,
    BEGIN IMMEDIATE waits.
    """
    match connection.dialect.name:
        case "postgresql":
            # Waiting for the other migration may take longer than any statement should.
            connection.exec_driver_sql("SET lock_timeout = '10min'")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK_NUMBER})")
            connection.exec_driver_sql(f"SET lock_timeout = '{BUSY_SECONDS}s'")
            release = sa.select(sa.func.pg_advisory_unlock(_LOCK_NUMBER))
        case "mysql" | "mariadb":
            name = f"{_LOCK}.{connection.engine.url.database}"[:64]
            if connection.scalar(sa.select(sa.func.get_lock(name, 600))) != 1:
                raise DatabaseError(
                    "another migration has been running for ten minutes; look at it, then try again"
                )
            release = sa.select(sa.func.release_lock(name))
        case _:
            yield
            return
    connection.commit()
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.rollback()
            connection.execute(release)
            connection.commit()


def run_migrations() -> None:
    """Applies what is missing."""
    with _engine().connect() as connection, _one_at_a_time(connection), connection.begin():
        # SQLite's DDL is transactional too once its driver leaves transactions alone (storage.database).
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transactional_ddl=connection.dialect.name in {"sqlite", "postgresql"},
        )
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: migrations look at the database before they change it")
run_migrations()

"""The schema's version: read it, and bring it up to date with the packaged migrations."""

import os
from contextlib import AbstractContextManager, nullcontext
from importlib import resources
from pathlib import Path

import sqlalchemy as sa

from storage.database import connect, masked, reading, sqlite_path, translated_errors
from storage.errors import SchemaError

# The newest migration. Stated here so that a run whose schema is up to date need not load Alembic.
HEAD_REVISION = "0001"


def read_revision(engine: sa.Engine) -> str | None:
    """The revision that the database is at, or None if it was never migrated.

    Raises:
        DatabaseUnavailableError: The database could not be opened.
    """
    path = sqlite_path(engine.url)
    if path is not None and path.parent.is_dir() and _is_missing(path):
        # To open it would make it.
        return None
    with connect(reading(engine)) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return revision


def _is_missing(path: Path) -> bool:
    # Not Path.exists, which raises where this user may not look.
    return not os.access(path, os.F_OK)


def open_stored(engine: sa.Engine) -> AbstractContextManager[sa.Connection | None]:
    """The database for reading, or None if nothing was ever stored: no tables, or no SQLite file.

    Raises:
        SchemaError: The tables are those of another version.
        DatabaseUnavailableError: The database could not be opened.
    """
    path = sqlite_path(engine.url)
    if (path is not None and _is_missing(path)) or read_revision(engine) is None:
        return nullcontext()
    require_schema(engine, auto_migrate=False)
    return connect(reading(engine))


def migrate(engine: sa.Engine) -> tuple[str | None, str]:
    """Applies all migrations that the database lacks; two at once wait for each other.

    Returns:
        The revision before and after.

    Raises:
        SchemaError: The database was migrated by a newer version of the program.
        DatabaseError: A statement was refused.
    """
    before = read_revision(engine)
    if before == HEAD_REVISION:
        return before, before
    # Alembic costs a third of a second to import, and is needed on few days.
    from alembic import command, util  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    config.attributes["engine"] = engine
    with translated_errors(engine):
        try:
            command.upgrade(config, "head")
        except util.CommandError as exc:
            raise _unknown_revision(engine, before) from exc
    return before, HEAD_REVISION


def require_schema(engine: sa.Engine, *, auto_migrate: bool) -> None:
    """Makes sure that the tables are those of this version.

    Raises:
        SchemaError: They are not, and ``auto_migrate`` is false; or they are newer.
    """
    revision = read_revision(engine)
    if revision == HEAD_REVISION:
        return
    if revision is not None and revision > HEAD_REVISION:
        raise _unknown_revision(engine, revision)
    if auto_migrate:
        migrate(engine)
        return
    state = "has no tables yet" if revision is None else f"is at revision {revision}, not at {HEAD_REVISION}"
    raise SchemaError(
        f"{masked(engine.url)} {state}; "
        "run: pipefy-usage migrate (or set auto_migrate = true under [database])"
    )


def _unknown_revision(engine: sa.Engine, revision: str | None) -> SchemaError:
    return SchemaError(
        f"{masked(engine.url)} is at revision {revision}, which this version does not know; "
        "a newer pipefy-usage-export migrated it: install that version or a later one"
    )

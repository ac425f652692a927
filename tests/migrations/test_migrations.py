"""The migrations build exactly the declared tables, on every database, also after having been cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from storage.database import build_engine, connect, parse_url
from storage.organizations import Organization, upsert_organizations
from storage.schema import HEAD_REVISION, migrate, read_revision
from storage.tables import DAILY, USAGE_TABLES, metadata
from storage.upsert import upsert_frame
from tests.storage.frames import ACME, GLOBEX, NOW, usage_frame


class _PowerCutError(Exception):
    """Ends a migration from outside."""


@pytest.fixture
def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    return config


@contextmanager
def _cut_off(engine: sa.Engine, *, before_statement: int) -> Iterator[None]:
    """Ends what the engine does before its so-manyth change of the schema."""
    changes = 0

    def count(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal changes
        changes += statement.lstrip().startswith(("CREATE", "INSERT"))
        if changes == before_statement:
            raise _PowerCutError

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        with pytest.raises(_PowerCutError):
            yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)


def _tables(engine: sa.Engine) -> list[str]:
    with connect(engine) as connection:
        return sa.inspect(connection).get_table_names()


def _differences(engine: sa.Engine) -> list[object]:
    with connect(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def test_the_migrated_tables_are_the_declared_ones(engine: sa.Engine) -> None:
    assert _differences(engine) == []


def test_a_difference_would_be_seen(engine: sa.Engine) -> None:
    declared = sa.MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(declared)
    daily = declared.tables[DAILY.name]
    daily.append_column(sa.Column("colour", sa.Text))
    daily.c.usage.comment = daily.comment = "something else"
    with connect(engine) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), declared)

    # SQLite keeps no comments.
    assert len(differences) == (1 if engine.dialect.name == "sqlite" else 3)


def test_the_migrated_checks_are_the_declared_ones(engine: sa.Engine) -> None:
    with connect(engine) as connection:
        inspector = sa.inspect(connection)
        for usage_table in USAGE_TABLES:
            declared = {
                str(each.name)
                for each in usage_table.table.constraints
                if isinstance(each, sa.CheckConstraint)
            }
            stored = {each["name"] for each in inspector.get_check_constraints(usage_table.name)}
            assert stored == declared


def test_the_programs_revision_is_alembics_head(alembic_config: Config) -> None:
    assert ScriptDirectory.from_config(alembic_config).get_heads() == [HEAD_REVISION]


def test_the_programs_revision_fits_alembics_column() -> None:
    assert len(HEAD_REVISION) <= 32


def test_a_migration_that_was_cut_off_can_be_run_again(empty_database_url: str) -> None:
    engine = build_engine(parse_url(empty_database_url))
    for before_statement in (2, 4, 9, 10):
        with _cut_off(engine, before_statement=before_statement):
            migrate(engine)
        assert read_revision(engine) is None
        if engine.dialect.name != "mysql":
            assert _tables(engine) == []

    assert migrate(engine) == (None, HEAD_REVISION)
    assert _differences(engine) == []
    with connect(engine) as connection:
        assert set(sa.inspect(connection).get_view_names()) == {
            "usage_daily",
            "usage_monthly",
            "usage_period",
        }


@pytest.mark.parametrize("empty_database_url", ["mariadb"], indirect=True)
def test_no_statement_needs_mariadb_where_mysql_should_do(empty_database_url: str) -> None:
    statements: list[str] = []
    engine = build_engine(parse_url(empty_database_url))
    sa.event.listen(engine, "before_cursor_execute", lambda *execution: statements.append(execution[2]))

    migrate(engine)

    indexes = [statement for statement in statements if "CREATE INDEX" in statement]
    assert len(indexes) == 4
    # MariaDB knows it, MySQL does not.
    assert not any("INDEX IF NOT EXISTS" in statement for statement in indexes)


def test_views_show_usage_with_the_organizations_names(engine: sa.Engine) -> None:
    with connect(engine) as connection, connection.begin():
        upsert_organizations(connection, [Organization(ACME, "main", name="Acme")], at=NOW)
        for usage_table in USAGE_TABLES:
            frame = usage_frame(usage_table, (ACME, NOW.date(), 5, None), (GLOBEX, NOW.date(), 6, 7))
            upsert_frame(connection, usage_table, frame, run_id="run", at=NOW)

    with connect(engine) as connection:
        for view in ("usage_daily", "usage_monthly", "usage_period"):
            columns = sa.text(f"organization_uuid, organization_name, account, {view}.usage, usage_limit")
            rows = connection.execute(sa.select(columns).select_from(sa.table(view)))
            assert sorted(map(tuple, rows)) == [(ACME, "Acme", "main", 5, None), (GLOBEX, None, None, 6, 7)]


def test_alembics_command_line_takes_the_address_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, empty_database_url: str, alembic_config: Config
) -> None:
    monkeypatch.setenv("PIPEFY_USAGE__DATABASE__URL", empty_database_url)

    command.upgrade(alembic_config, "head")

    assert read_revision(build_engine(parse_url(empty_database_url))) == HEAD_REVISION


def test_statements_are_not_written_without_a_database(alembic_config: Config) -> None:
    with pytest.raises(SystemExit, match="offline mode is not supported"):
        command.upgrade(alembic_config, "head", sql=True)

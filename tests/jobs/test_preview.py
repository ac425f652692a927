"""A dry run: shows what a run would insert and change, and writes nothing."""

from datetime import date

import pytest
import sqlalchemy as sa

from jobs.errors import ConfigurationError
from jobs.preview import preview_export
from storage.errors import SchemaError
from storage.runs import RunStatus
from tests.conftest import NOW
from tests.exporting import Export, Silent, files_in, image_of


def test_a_dry_run_into_empty_tables_shows_every_row_as_new_and_writes_none(export: Export) -> None:
    before = image_of(export)

    report = export.preview()

    assert image_of(export) == before
    assert before["export_runs"] == []
    assert report.is_dry_run
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.organizations == 5
    assert report.counts.rows_inserted == sum(outcome.rows_seen for outcome in report.outcomes) > 0
    assert (report.counts.rows_changed, report.changes, report.snapshots) == (0, [], [])
    assert report.counts.requests == report.counts.requests_billed > 0
    assert not (export.folder / "snapshots").exists()
    assert export.run().counts.rows_inserted == report.counts.rows_inserted


def test_a_dry_run_shows_the_changes_that_the_next_run_makes(export: Export) -> None:
    export.run()
    organization = export.sandbox.organizations[1].uuid
    old = export.sandbox.usage_on(organization, date(2026, 5, 20))
    export.sandbox.restate(organization, date(2026, 5, 20), 77)
    before = image_of(export)

    report = export.preview()

    assert image_of(export) == before
    daily = [change for change in report.changes if change.table == "integrations_usage_daily"]
    assert [(each.organization_uuid, each.bucket, each.old_usage, each.new_usage) for each in daily] == [
        (organization, date(2026, 5, 20), old, 77)
    ]
    assert report.counts.rows_inserted == 0
    assert report.counts.rows_changed == len(report.changes)
    assert report.names[organization] == export.sandbox.organizations[1].name
    assert export.run().counts.rows_changed == report.counts.rows_changed
    assert export.preview().changes == []


def test_a_dry_run_leaves_the_database_file_and_the_snapshots_byte_for_byte(sqlite_export: Export) -> None:
    sqlite_export.run()
    before = files_in(sqlite_export.folder)
    sqlite_export.sandbox.restate(sqlite_export.sandbox.organizations[0].uuid, date(2026, 5, 20), 77)

    report = sqlite_export.preview()

    assert report.counts.rows_changed > 0
    assert files_in(sqlite_export.folder) == before


def test_a_sqlite_file_that_is_missing_stays_missing(sqlite_export: Export) -> None:
    sqlite_export.database_url = f"sqlite:///{sqlite_export.folder}/new/other.db"

    report = sqlite_export.preview()

    assert report.counts.rows_inserted == sum(outcome.rows_seen for outcome in report.outcomes) > 0
    assert sorted(path.name for path in sqlite_export.folder.iterdir()) == ["config.toml", "usage.db"]


def test_a_database_without_tables_is_given_none(export: Export, empty_database_url: str) -> None:
    export.database_url = empty_database_url

    report = export.preview()

    assert report.counts.rows_inserted > 0
    if not empty_database_url.startswith("sqlite"):
        assert sa.inspect(export.engine).get_table_names() == []


def test_tables_of_another_version_are_refused(export: Export) -> None:
    with export.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    try:
        with pytest.raises(SchemaError, match=r"is at revision 0000.*pipefy-usage migrate"):
            export.preview()
    finally:
        # The tables of MariaDB are shared by the tests.
        with export.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")


def test_what_fails_is_an_outcome_and_the_rest_goes_on(sqlite_export: Export) -> None:
    denied, *_ = sqlite_export.sandbox.organizations
    sqlite_export.sandbox.deny(denied.uuid)
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations] + ["5"]

    report = sqlite_export.preview()

    assert report.status is RunStatus.PARTIAL
    assert {failure.organization for failure in report.failures} == {denied.uuid, "5"}
    assert report.counts.organizations == 6
    assert report.counts.organizations_failed == 2
    assert report.counts.rows_inserted > 0


def test_an_organization_of_no_account_is_refused_before_any_request(sqlite_export: Export) -> None:
    sqlite_export.organizations = ["300123456"]

    with pytest.raises(ConfigurationError, match="5"):
        preview_export(sqlite_export.request(NOW, organizations=["5"]), sqlite_export.engine, Silent())

    assert sqlite_export.sandbox.requests == ()

"""The main job, end to end: over HTTP, into real databases and files."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.errors import ConfigurationError
from jobs.periods import Period
from jobs.sandbox import SAMPLE_STATS, Sandbox, faults
from storage.errors import RunInProgressError, SchemaError, SnapshotError
from storage.lock import hold_run_lock
from storage.runs import OutcomeStatus, RunStatus
from tests.conftest import TODAY
from tests.exporting import NOW, Export

_USAGE_TABLES = ("integrations_usage_daily", "integrations_usage_monthly", "integrations_usage_period")
_MANY = 25
# More than a float can tell from its neighbours.
_HUGE = 2**53 + 1


@pytest.fixture
def many(sqlite_url: str, tmp_path: Path) -> Iterator[Export]:
    """An export of 25 organizations."""
    with Sandbox(today=TODAY, organizations=_MANY) as sandbox:
        yield Export(sandbox, sqlite_url, tmp_path)


def _serve_sample(sandbox: Sandbox) -> str:
    """Has the first organization answer with the documentation's sample, for its current month."""
    uuid = sandbox.organizations[0].uuid
    sandbox.override(uuid, "current_month", SAMPLE_STATS)
    return uuid


def test_the_documented_sample_ends_as_exactly_its_rows_in_sql(export: Export) -> None:
    uuid = _serve_sample(export.sandbox)
    export.organizations = [uuid]

    report = export.run(periods=[Period.CURRENT_MONTH])

    assert report.status is RunStatus.SUCCEEDED
    daily = export.rows("integrations_usage_daily", "organization_uuid", "usage", "usage_limit")
    assert daily == [(uuid, 120, None), (uuid, 64, None)]
    days = export.rows("integrations_usage_daily", "date")
    assert [str(day) for (day,) in days] == ["2026-06-01", "2026-06-02"]
    totals = export.rows(
        "integrations_usage_period", "period", "usage", "usage_limit", "history_usage", "active_flows"
    )
    assert totals == [("current_month", 1280, None, 184, 7)]
    assert export.rows("integrations_usage_monthly") == []


def test_the_documented_sample_ends_as_exactly_its_rows_in_parquet(sqlite_export: Export) -> None:
    sqlite_export.organizations = [_serve_sample(sqlite_export.sandbox)]

    sqlite_export.run(periods=[Period.CURRENT_MONTH])

    daily = sqlite_export.snapshot("integrations_usage_daily")
    assert daily.schema.field("usage").type == pa.int64()
    assert daily.schema.field("usage_limit").type == pa.int64()
    assert daily.select(["date", "usage", "usage_limit", "is_provisional"]).to_pylist() == [
        {"date": date(2026, 6, 1), "usage": 120, "usage_limit": None, "is_provisional": False},
        {"date": date(2026, 6, 2), "usage": 64, "usage_limit": None, "is_provisional": False},
    ]
    period = sqlite_export.snapshot("integrations_usage_period")
    assert period.select(["usage", "history_usage", "active_flows", "is_provisional"]).to_pylist() == [
        {"usage": 1280, "history_usage": 184, "active_flows": 7, "is_provisional": True}
    ]


def test_every_day_that_pipefy_tells_is_stored_as_it_says(export: Export) -> None:
    export.run()

    stored = export.rows("integrations_usage_daily", "organization_uuid", "date", "usage")
    first, days = date(2026, 5, 1), (TODAY - date(2026, 5, 1)).days + 1
    told = [
        (organization.uuid, str(day), usage)
        for organization in export.sandbox.organizations
        for day in (first + timedelta(days=offset) for offset in range(days))
        if (usage := export.sandbox.usage_on(organization.uuid, day)) is not None
    ]
    assert sorted((uuid, str(day), usage) for uuid, day, usage in stored) == sorted(told)


def test_a_second_identical_run_changes_no_row(export: Export) -> None:
    export.run()
    before = {table: export.rows(table) for table in (*_USAGE_TABLES, "organizations")}

    report = export.run(NOW + timedelta(hours=1))

    assert (report.counts.rows_inserted, report.counts.rows_changed, report.counts.rows_restated) == (0, 0, 0)
    assert {table: export.rows(table) for table in before} == before
    assert export.rows("usage_restatements") == []


def test_a_day_that_was_open_is_updated_without_a_restatement(export: Export) -> None:
    uuid = export.sandbox.organizations[1].uuid
    export.sandbox.restate(uuid, TODAY, 10)
    export.run()
    export.sandbox.restate(uuid, TODAY, 25)

    export.run(NOW + timedelta(days=1))

    daily = export.rows("integrations_usage_daily", "organization_uuid", "date", "usage")
    assert (uuid, str(TODAY), 25) in [(organization, str(day), usage) for organization, day, usage in daily]
    assert [row for row in export.rows("usage_restatements", "table_name") if "daily" in row[0]] == []


def test_a_closed_day_that_pipefy_changes_is_updated_and_recorded(export: Export) -> None:
    uuid, day = export.sandbox.organizations[1].uuid, date(2026, 6, 1)
    export.sandbox.restate(uuid, day, 500)
    export.run()
    export.sandbox.restate(uuid, day, 501)

    report = export.run(NOW + timedelta(days=1))

    recorded = export.rows("usage_restatements", "table_name", "bucket", "old_usage", "new_usage", "run_id")
    (daily,) = [row for row in recorded if row[0] == "integrations_usage_daily"]
    assert (str(daily[1]), *daily[2:]) == (str(day), 500, 501, report.run_id)


def test_a_value_that_was_seen_again_after_its_day_had_closed_is_recorded_when_it_changes(
    export: Export,
) -> None:
    uuid, before_midnight = export.sandbox.organizations[1].uuid, NOW + timedelta(hours=17)
    export.sandbox.restate(uuid, TODAY, 10)
    export.run(before_midnight)  # still open: the day may grow
    export.run(before_midnight + timedelta(days=1))  # closed, and the same: nothing is written
    export.sandbox.restate(uuid, TODAY, 11)

    export.run(before_midnight + timedelta(days=2))

    recorded = export.rows("usage_restatements", "table_name", "bucket", "old_usage", "new_usage")
    assert [(str(day), old, new) for table, day, old, new in recorded if "daily" in table] == [
        (str(TODAY), 10, 11)
    ]


def test_a_day_that_vanishes_upstream_stays_with_its_last_value(export: Export) -> None:
    uuid, day = export.sandbox.organizations[1].uuid, date(2026, 6, 1)
    export.sandbox.restate(uuid, day, 500)
    export.run()
    export.sandbox.restate(uuid, day, None)

    export.run(NOW + timedelta(days=1))

    daily = export.rows("integrations_usage_daily", "organization_uuid", "date", "usage")
    assert (uuid, str(day), 500) in [(organization, str(day), usage) for organization, day, usage in daily]


def test_whole_numbers_and_nulls_arrive_exactly(export: Export) -> None:
    uuid = export.sandbox.organizations[0].uuid
    nodes = [
        {"date": "2026-06-01", "usage": _HUGE, "limit": None},
        {"date": "2026-06-02", "usage": 0, "limit": _HUGE},
        {"date": "2026-06-03", "usage": 1, "limit": 0},
    ]
    export.sandbox.override(
        uuid,
        "current_month",
        {**SAMPLE_STATS, "tasksConsumed": {"usage": _HUGE, "limit": None}, "history": {"nodes": nodes}},
    )
    export.organizations = [uuid]

    export.run(periods=[Period.CURRENT_MONTH])

    expected = [(0, _HUGE), (1, 0), (_HUGE, None)]
    assert sorted(export.rows("integrations_usage_daily", "usage", "usage_limit")) == expected
    snapshot = export.snapshot("integrations_usage_daily").to_pylist()
    assert sorted((row["usage"], row["usage_limit"]) for row in snapshot) == expected
    assert export.rows("integrations_usage_period", "usage", "usage_limit") == [(_HUGE, None)]


def test_limits_that_are_all_null_stay_null(export: Export) -> None:
    export.organizations = [next(each.uuid for each in export.sandbox.organizations if each.limit is None)]

    export.run()

    assert {limit for (limit,) in export.rows("integrations_usage_daily", "usage_limit")} == {None}
    limits = export.snapshot("integrations_usage_daily")["usage_limit"]
    assert limits.type == pa.int64()
    assert limits.null_count == len(limits) > 0


def test_25_organizations_and_3_periods_take_two_requests_at_first_and_then_one(many: Export) -> None:
    many.organizations = [organization.id for organization in many.sandbox.organizations]

    first = many.run()
    second = many.run(NOW + timedelta(days=1))

    assert (first.counts.requests, second.counts.requests) == (2, 1)
    assert first.counts.requests_billed == 2
    assert len(first.outcomes) == _MANY * 3
    assert first.exit_status == 0


def test_one_organization_without_permission_costs_nobody_else_their_data(many: Export) -> None:
    denied = many.sandbox.organizations[7]
    many.organizations = [organization.uuid for organization in many.sandbox.organizations]
    many.sandbox.deny(denied.uuid)

    report = many.run()

    assert (report.counts.requests, report.exit_status, report.status) == (2, 1, RunStatus.PARTIAL)
    stored = {uuid for (uuid,) in many.rows("integrations_usage_daily", "organization_uuid")}
    assert stored == {each.uuid for each in many.sandbox.organizations} - {denied.uuid}
    assert {(each.organization, each.error_code) for each in report.failures} == {
        (denied.uuid, "PERMISSION_DENIED")
    }
    assert all(failure.correlation_id for failure in report.failures)
    recorded = many.rows("export_outcomes", "organization", "status", "error_code", "correlation_id")
    assert [row[0] for row in recorded if row[1] == OutcomeStatus.FAILED] == [denied.uuid] * 3


def test_numbers_are_resolved_once_and_remembered(sqlite_export: Export) -> None:
    organization = sqlite_export.sandbox.organizations[2]
    sqlite_export.organizations = [organization.id]

    sqlite_export.run()
    sqlite_export.sandbox.forget_requests()
    sqlite_export.run(NOW + timedelta(days=1))

    operations = [each.operation_name for each in sqlite_export.sandbox.requests if each.operation_name]
    assert operations == ["UsageExportStats"]
    assert sqlite_export.rows("organizations", "uuid", "id", "name") == [
        (organization.uuid, organization.id, organization.name)
    ]


def test_an_ill_typed_answer_is_an_error_of_its_organization_alone(sqlite_export: Export) -> None:
    spoiled, *good = sqlite_export.sandbox.organizations
    nodes = [{"date": "2026-06-01", "usage": "120", "limit": None}]
    sqlite_export.sandbox.override(
        spoiled.uuid, "current_month", {**SAMPLE_STATS, "history": {"nodes": nodes}}
    )

    report = sqlite_export.run(periods=[Period.CURRENT_MONTH])

    (failure,) = report.failures
    assert (failure.organization, failure.error_code) == (spoiled.uuid, "INVALID_ANSWER")
    assert "history.nodes.0.usage" in (failure.error_message or "")
    stored = {uuid for (uuid,) in sqlite_export.rows("integrations_usage_daily", "organization_uuid")}
    assert stored == {organization.uuid for organization in good}


def test_a_month_that_ends_between_two_answers_gives_no_row_twice(export: Export) -> None:
    uuid = export.sandbox.organizations[0].uuid
    later = {"nodes": [{"date": "2026-06-01", "usage": 121, "limit": None}]}
    export.sandbox.override(uuid, "current_month", SAMPLE_STATS)
    export.sandbox.override(uuid, "last_month", {**SAMPLE_STATS, "history": later})
    export.organizations = [uuid]

    export.run(periods=[Period.CURRENT_MONTH, Period.LAST_MONTH])

    assert export.rows("integrations_usage_daily", "usage") == [(121,), (64,)]


def test_a_run_beside_another_does_nothing(export: Export) -> None:
    with hold_run_lock(export.engine), pytest.raises(RunInProgressError):
        export.run()

    assert export.rows("export_runs") == []
    assert export.sandbox.requests == ()


def test_tables_that_are_missing_are_made_by_the_first_run(
    sandbox: Sandbox, empty_database_url: str, tmp_path: Path
) -> None:
    export = Export(sandbox, empty_database_url, tmp_path)

    assert export.run().status is RunStatus.SUCCEEDED
    assert export.rows("usage_daily", "organization_name")


def test_without_auto_migrate_a_run_says_what_to_do_and_does_nothing(
    sandbox: Sandbox, empty_database_url: str, tmp_path: Path
) -> None:
    export = Export(sandbox, empty_database_url, tmp_path)
    export.environ["PIPEFY_USAGE__DATABASE__AUTO_MIGRATE"] = "false"

    with pytest.raises(SchemaError, match="run: pipefy-usage migrate"):
        export.run()

    assert sandbox.requests == ()


def test_an_organization_that_is_not_configured_is_refused_before_anything_is_asked(
    sqlite_export: Export,
) -> None:
    sqlite_export.organizations = [sqlite_export.sandbox.organizations[0].id]

    with pytest.raises(ConfigurationError, match="999 is in no account"):
        sqlite_export.run(organizations=["999"])

    assert sqlite_export.sandbox.requests == ()
    assert sqlite_export.rows("export_runs") == []


def test_only_the_wanted_organization_and_period_are_asked_for(sqlite_export: Export) -> None:
    wanted = sqlite_export.sandbox.organizations[3].uuid

    report = sqlite_export.run(organizations=[wanted], periods=[Period.LAST_MONTH])

    assert [(each.organization, each.period) for each in report.outcomes] == [(wanted, "last_month")]


def test_a_later_run_of_the_date_keeps_what_it_could_not_fetch(sqlite_export: Export) -> None:
    sqlite_export.run()
    before = sqlite_export.snapshot("integrations_usage_daily")
    lost = sqlite_export.sandbox.organizations[0].uuid
    sqlite_export.sandbox.deny(lost)

    report = sqlite_export.run(NOW + timedelta(hours=1))

    after = sqlite_export.snapshot("integrations_usage_daily").to_pylist()
    assert len(after) == before.num_rows
    assert {row["run_id"] == report.run_id for row in after if row["organization_uuid"] == lost} == {False}
    assert {row["run_id"] == report.run_id for row in after if row["organization_uuid"] != lost} == {True}


def test_refused_credentials_are_recorded_and_exit_with_2(sqlite_export: Export) -> None:
    sqlite_export.organizations = [each.uuid for each in sqlite_export.sandbox.organizations]
    sqlite_export.environ["PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"] = "wrong"

    report = sqlite_export.run()

    assert report.exit_status == 2
    assert report.status is RunStatus.FAILED
    assert {failure.error_code for failure in report.failures} == {"CREDENTIALS"}
    assert report.counts.requests_billed == 0


def test_an_api_that_is_down_is_a_failure_of_every_organization(sqlite_export: Export) -> None:
    sqlite_export.run()
    sqlite_export.sandbox.inject(faults.StatusAnswer(503, "html"), times=None)

    report = sqlite_export.run(NOW + timedelta(days=1))

    assert (report.exit_status, report.status) == (1, RunStatus.FAILED)
    assert {failure.error_code for failure in report.failures} == {"HTTP_503"}


def test_snapshots_that_cannot_be_written_leave_a_failed_run_that_says_why(sqlite_export: Export) -> None:
    (sqlite_export.folder / "snapshots").write_text("a file where a folder belongs")

    with pytest.raises(SnapshotError, match="cannot write snapshots"):
        sqlite_export.run()

    ((status, message),) = sqlite_export.rows("export_runs", "status", "message")
    assert status == "failed"
    assert "cannot write snapshots" in message


def test_a_dry_run_says_what_a_run_would_do_and_writes_nothing(export: Export) -> None:
    uuid, day = export.sandbox.organizations[1].uuid, date(2026, 6, 1)
    export.sandbox.restate(uuid, day, 500)
    expected_first = export.preview()
    first = export.run()
    export.sandbox.restate(uuid, day, 501)
    before = {table: export.rows(table) for table in (*_USAGE_TABLES, "export_runs", "organizations")}

    preview = export.preview(NOW + timedelta(days=1))

    assert {table: export.rows(table) for table in before} == before
    assert expected_first.counts.rows_inserted == first.counts.rows_inserted
    changed = [
        (change.organization_uuid, change.bucket, change.old_usage, change.new_usage)
        for change in preview.changes
    ]
    assert (uuid, day, 500, 501) in changed
    after = export.run(NOW + timedelta(days=1))
    assert preview.counts.rows_changed == after.counts.rows_changed == len(preview.changes)

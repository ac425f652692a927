"""The main job, end to end: over HTTP, into real databases and files."""

from datetime import date

import pyarrow as pa

from jobs.periods import Period
from jobs.sandbox import SAMPLE_STATS, Sandbox
from storage.runs import RunStatus
from tests.exporting import Export


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

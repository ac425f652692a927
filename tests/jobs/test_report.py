"""What a run did: sums, status, exit status, and JSON."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from jobs.report import RunReport
from storage.runs import Outcome, OutcomeStatus, RunStatus
from storage.upsert import Change

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)


def _stored(organization: str, period: str = "last_month", rows: int = 3) -> Outcome:
    return Outcome(
        organization, period, OutcomeStatus.STORED, rows_seen=rows, rows_inserted=2, rows_changed=1
    )


def _failed(organization: str, code: str = "PERMISSION_DENIED", period: str = "last_month") -> Outcome:
    return Outcome(organization, period, OutcomeStatus.FAILED, error_code=code, error_message="no")


def _report(*outcomes: Outcome) -> RunReport:
    report = RunReport("run", NOW, "1.0")
    report.add(outcomes)
    return report


@pytest.mark.parametrize(
    ("outcomes", "status", "exit_status"),
    [
        ([], RunStatus.SUCCEEDED, 0),
        ([_stored("a"), _stored("b")], RunStatus.SUCCEEDED, 0),
        ([_stored("a"), _failed("b")], RunStatus.PARTIAL, 1),
        ([_stored("a"), _failed("a", period="current_month")], RunStatus.PARTIAL, 1),
        ([_stored("a"), _failed("b", "CREDENTIALS")], RunStatus.PARTIAL, 1),
        ([_failed("a"), _failed("b")], RunStatus.FAILED, 1),
        ([_failed("a"), _failed("b", "CREDENTIALS")], RunStatus.FAILED, 1),
        ([_failed("a", "CREDENTIALS"), _failed("b", "CREDENTIALS")], RunStatus.FAILED, 2),
    ],
)
def test_the_exit_status_tells_some_failed_from_nothing_could_be_done(
    outcomes: list[Outcome], status: RunStatus, exit_status: int
) -> None:
    report = _report(*outcomes)

    assert report.status is status
    assert report.exit_status == exit_status


def test_an_organization_that_fails_in_two_periods_is_counted_once() -> None:
    report = _report(
        _failed("a"), _failed("a", period="current_month"), _stored("b"), _stored("b", "last_3_months")
    )

    assert report.counts.organizations_failed == 1
    assert (report.counts.rows_inserted, report.counts.rows_changed) == (4, 2)
    assert report.failures == [_failed("a"), _failed("a", period="current_month")]


def test_outcomes_are_summed_up_by_organization_and_sorted_by_name() -> None:
    report = _report(_stored("2"), _failed("3"), _stored("1"), _failed("2", period="current_month"))
    report.names.update({"1": "Zinc", "2": "Acme"})

    acme, zinc, nameless = report.organizations()

    assert (acme.organization, acme.name) == ("2", "Acme")
    assert (acme.rows_seen, acme.rows_inserted, acme.rows_changed) == (3, 2, 1)
    assert [failure.period for failure in acme.failures] == ["current_month"]
    assert (zinc.name, zinc.failures) == ("Zinc", ())
    assert (nameless.organization, nameless.name, nameless.rows_seen) == ("3", None, 0)


def test_the_report_is_plain_json() -> None:
    report = _report(_stored("a"), _failed("b"))
    report.names["a"] = "Acme"
    report.duration_seconds = 1.23456
    report.snapshots = [Path("/srv/a.parquet")]
    report.set_aside = [Path("/srv/b.unreadable")]
    report.changes = [Change("integrations_usage_daily", "a", date(2026, 6, 1), 1, 2, None, 5)]

    read = json.loads(json.dumps(report.to_json()))

    assert read["status"] == "partial"
    assert read["exit_status"] == 1
    assert read["started_at"] == "2026-06-16T05:15:00+00:00"
    assert read["duration_seconds"] == 1.235
    assert read["dry_run"] is False
    assert (read["organizations_failed"], read["rows_inserted"], read["rows_changed"]) == (1, 2, 1)
    assert [(each["organization"], each["name"], each["status"]) for each in read["outcomes"]] == [
        ("a", "Acme", "stored"),
        ("b", None, "failed"),
    ]
    assert read["outcomes"][1]["error_code"] == "PERMISSION_DENIED"
    assert read["snapshots"] == ["/srv/a.parquet"]
    assert read["set_aside"] == ["/srv/b.unreadable"]
    (change,) = read["changes"]
    assert change["bucket"] == "2026-06-01"
    assert (change["old_usage"], change["new_usage"], change["old_usage_limit"]) == (1, 2, None)

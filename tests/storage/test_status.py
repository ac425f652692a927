"""How things stand, told from the record."""

from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from storage.organizations import Organization, upsert_organizations
from storage.runs import Outcome, OutcomeStatus, RunRecord, RunStatus, finish_run, insert_outcomes, start_run
from storage.status import OrganizationStatus, read_organization_statuses, read_runs
from storage.tables import DAILY
from storage.upsert import upsert_frame
from tests.storage.frames import ACME, GLOBEX, NOW, usage_frame

LATER = NOW + timedelta(days=1)
STORED = Outcome(ACME, "current_month", OutcomeStatus.STORED)
FAILED = Outcome(
    ACME,
    "current_month",
    OutcomeStatus.FAILED,
    error_code="PERMISSION_DENIED",
    error_message="not yours",
    correlation_id="abc-1",
)


def _record(connection: sa.Connection, run_id: str, at: datetime, *outcomes: Outcome) -> None:
    insert_outcomes(connection, RunRecord(run_id, started_at=at, version="1"), outcomes, at=at)


def test_an_organization_is_shown_with_its_newest_day_and_last_success(connection: sa.Connection) -> None:
    upsert_organizations(connection, [Organization(ACME, "main", name="Acme")], at=NOW)
    days = usage_frame(DAILY, (ACME, date(2026, 6, 14), 1, None), (ACME, date(2026, 6, 9), 1, None))
    upsert_frame(connection, DAILY, days, run_id="run-1", at=NOW)
    _record(connection, "run-1", NOW, STORED)
    _record(connection, "run-2", LATER, STORED)

    (status,) = read_organization_statuses(connection)

    assert status == OrganizationStatus(ACME, "Acme", "main", date(2026, 6, 14), LATER, None, None)
    assert not status.is_failing


def test_an_organization_is_shown_with_its_last_error(connection: sa.Connection) -> None:
    _record(connection, "run-1", NOW, FAILED)
    _record(connection, "run-2", LATER, Outcome(ACME, "last_month", OutcomeStatus.FAILED, error_code="GONE"))
    _record(connection, "run-3", NOW - timedelta(days=1), FAILED)

    (status,) = read_organization_statuses(connection)

    assert (status.last_success_at, status.last_error_at) == (None, LATER)
    assert status.last_error is not None
    assert status.last_error.startswith("GONE")
    assert status.is_failing


@pytest.mark.parametrize(
    ("correlation_id", "expected"),
    [
        ("abc-1", "PERMISSION_DENIED: not yours (correlation id abc-1)"),
        (None, "PERMISSION_DENIED: not yours"),
    ],
)
def test_an_error_is_told_with_what_support_asks_for(
    connection: sa.Connection, correlation_id: str | None, expected: str
) -> None:
    failed = Outcome(
        ACME,
        "current_month",
        OutcomeStatus.FAILED,
        error_code="PERMISSION_DENIED",
        error_message="not yours",
        correlation_id=correlation_id,
    )
    _record(connection, "run-1", NOW, failed)

    (status,) = read_organization_statuses(connection)

    assert status.last_error == expected


@pytest.mark.parametrize(
    ("stored_at", "failed_at", "is_failing"),
    [
        (None, None, False),
        (NOW, None, False),
        (None, NOW, True),
        (NOW, LATER, True),
        (LATER, NOW, False),
        (NOW, NOW, True),
    ],
    ids=["nothing yet", "stored", "failed", "failed last", "stored last", "one period failed"],
)
def test_an_organization_fails_if_the_last_word_about_it_was_an_error(
    connection: sa.Connection,
    stored_at: datetime | None,
    failed_at: datetime | None,
    is_failing: bool,  # noqa: FBT001 # a case of the table
) -> None:
    upsert_organizations(connection, [Organization(ACME, "main")], at=NOW)
    if stored_at:
        _record(connection, "run-1", stored_at, STORED)
    if failed_at:
        _record(connection, "run-2", failed_at, FAILED)

    (status,) = read_organization_statuses(connection)

    assert status.is_failing is is_failing


def test_the_error_told_does_not_depend_on_the_order_of_periods_that_failed_together(
    connection: sa.Connection,
) -> None:
    together = [
        Outcome(ACME, period, OutcomeStatus.FAILED, error_code=period.upper(), error_message="failed")
        for period in ("last_month", "current_month", "last_3_months")
    ]
    _record(connection, "run-1", NOW, *together)

    assert read_organization_statuses(connection)[0].last_error == "CURRENT_MONTH: failed"


def test_organizations_are_sorted_by_name_and_nameless_ones_come_last(connection: sa.Connection) -> None:
    named = [Organization(ACME, "main", name="Zeta"), Organization(GLOBEX, "main", name="Beta")]
    upsert_organizations(connection, [*named, Organization("nameless", "main")], at=NOW)
    _record(connection, "run-1", NOW, Outcome("300123456", "last_month", OutcomeStatus.FAILED))

    statuses = read_organization_statuses(connection)

    assert [status.organization for status in statuses] == [GLOBEX, ACME, "300123456", "nameless"]
    assert [status.account for status in statuses] == ["main", "main", None, "main"]


def test_an_error_of_another_organization_is_not_taken_for_its_own(connection: sa.Connection) -> None:
    _record(connection, "run-1", NOW, STORED, Outcome(GLOBEX, "last_month", OutcomeStatus.FAILED))

    failing = {status.organization: status.is_failing for status in read_organization_statuses(connection)}

    assert failing == {ACME: False, GLOBEX: True}


def test_runs_are_listed_newest_first_and_no_more_than_asked_for(connection: sa.Connection) -> None:
    for number in (2, 1, 3):
        run = RunRecord(f"run-{number}", started_at=NOW + timedelta(days=number), version="1")
        start_run(connection, run)
        run.counts.rows_inserted = number
        finish_run(connection, run, status=RunStatus.SUCCEEDED, at=run.started_at, message=f"{number}")
    newest = read_runs(connection, limit=2)

    assert [(run.run_id, run.rows_inserted, run.message) for run in newest] == [
        ("run-3", 3, "3"),
        ("run-2", 2, "2"),
    ]
    assert newest[0].started_at == newest[0].finished_at == NOW + timedelta(days=3)
    assert (newest[0].trigger, newest[0].status) == ("manual", "succeeded")


def test_nothing_recorded_is_nothing_to_show(connection: sa.Connection) -> None:
    assert read_runs(connection, limit=5) == []
    assert read_organization_statuses(connection) == []

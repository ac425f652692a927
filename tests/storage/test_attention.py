"""What people should hear of, read from the tables."""

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from storage.attention import (
    CurrentUsage,
    FailingOrganization,
    read_current_usages,
    read_failing_organizations,
)
from storage.organizations import Organization, upsert_organizations
from storage.runs import Outcome, OutcomeStatus, RunRecord, insert_outcomes
from storage.tables import DAILY, PERIOD
from storage.upsert import upsert_frame
from tests.storage.frames import ACME, GLOBEX, NOW, Row, usage_frame

DAY = timedelta(days=1)
JUNE, MAY = date(2026, 6, 1), date(2026, 5, 1)


def _store(connection: sa.Connection, *rows: Row, period: str = "current_month") -> None:
    frame = usage_frame(PERIOD, *rows, period=period)
    upsert_frame(connection, PERIOD, frame, run_id="run-1", at=NOW)


def _record(connection: sa.Connection, at: datetime, *outcomes: Outcome) -> None:
    insert_outcomes(connection, RunRecord(f"run {at}", started_at=at, version="1"), outcomes, at=at)


def _failed(organization: str = ACME, period: str = "current_month", code: str = "GONE") -> Outcome:
    return Outcome(organization, period, OutcomeStatus.FAILED, error_code=code, error_message="no answer")


def _stored(organization: str = ACME, period: str = "current_month") -> Outcome:
    return Outcome(organization, period, OutcomeStatus.STORED)


def test_the_newest_current_month_of_each_organization_is_read(connection: sa.Connection) -> None:
    upsert_organizations(connection, [Organization(ACME, "main", name="Acme")], at=NOW)
    _store(connection, (ACME, MAY, 900, 1000), (ACME, JUNE, 120, 1000), (GLOBEX, MAY, 7, None))
    days = usage_frame(DAILY, (ACME, date(2026, 6, 14), 1, None), (ACME, date(2026, 6, 9), 1, None))
    upsert_frame(connection, DAILY, days, run_id="run-1", at=NOW)

    assert read_current_usages(connection) == [
        CurrentUsage(ACME, "Acme", date(2026, 6, 14), JUNE, 120, 1000),
        CurrentUsage(GLOBEX, None, None, MAY, 7, None),
    ]


def test_other_periods_are_no_current_month(connection: sa.Connection) -> None:
    _store(connection, (ACME, JUNE, 5, None), period="last_month")

    assert read_current_usages(connection) == []

    # Also not where they start later than the newest current month.
    _store(connection, (ACME, MAY, 4, None))
    assert [(each.period_from, each.usage) for each in read_current_usages(connection)] == [(MAY, 4)]


def test_an_organization_fails_since_its_first_failure_after_its_last_success(
    connection: sa.Connection,
) -> None:
    upsert_organizations(connection, [Organization(ACME, "main", name="Acme")], at=NOW)
    _record(connection, NOW - 3 * DAY, _failed(code="OLD"))
    _record(connection, NOW - 2 * DAY, _stored(), _stored(GLOBEX))
    _record(connection, NOW - DAY, _failed(), _stored(GLOBEX))
    _record(connection, NOW, _failed(code="DENIED"), _stored(GLOBEX))

    assert read_failing_organizations(connection) == [
        FailingOrganization(ACME, "Acme", NOW - DAY, "DENIED: no answer")
    ]


def test_an_organization_that_never_worked_fails_since_its_first_failure(connection: sa.Connection) -> None:
    _record(connection, NOW - DAY, _failed("300123456"))
    _record(connection, NOW, _failed("300123456"))

    assert read_failing_organizations(connection) == [
        FailingOrganization("300123456", None, NOW - DAY, "GONE: no answer")
    ]


def test_an_organization_that_works_again_is_not_failing(connection: sa.Connection) -> None:
    upsert_organizations(connection, [Organization(GLOBEX, "main", name="Globex")], at=NOW)
    _record(connection, NOW - DAY, _failed())
    _record(connection, NOW, _stored())

    assert read_failing_organizations(connection) == []


def test_one_period_that_fails_beside_others_that_are_stored_is_a_failure(connection: sa.Connection) -> None:
    _record(connection, NOW, _stored(), _failed(period="last_month"))

    assert [each.failing_since for each in read_failing_organizations(connection)] == [NOW]


def test_an_organization_of_which_one_period_goes_on_failing_is_failing_since_then(
    connection: sa.Connection,
) -> None:
    for day in range(3):
        at = NOW + timedelta(days=day)
        run = RunRecord(f"run-{day}", started_at=at, version="1")
        stored = Outcome(ACME, "current_month", OutcomeStatus.STORED)
        failed = Outcome(ACME, "last_month", OutcomeStatus.FAILED, error_code="HTTP_503")
        insert_outcomes(connection, run, [stored, failed], at=at)

    (failing,) = read_failing_organizations(connection)

    assert (failing.organization, failing.failing_since) == (ACME, NOW)

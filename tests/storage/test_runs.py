"""The record of runs and outcomes."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage.errors import RunAlreadyDoneError
from storage.runs import (
    DueRun,
    Outcome,
    OutcomeStatus,
    RunCounts,
    RunRecord,
    RunStatus,
    Trigger,
    finish_run,
    insert_outcomes,
    read_due_run,
    read_last_success,
    start_run,
)
from storage.tables import export_outcomes, export_runs
from tests.storage.frames import ACME, NOW

RUN = RunRecord("run-1", started_at=NOW, version="1.2.3")
SCHEDULED = replace(RUN, trigger=Trigger.SCHEDULE, schedule="15 5 * * *", scheduled_for=NOW)
LATER = NOW + timedelta(minutes=5)


def _rows(connection: sa.Connection, table: sa.Table) -> list[dict[str, object]]:
    rows = connection.execute(sa.select(table).order_by(table.c.run_id)).mappings()
    return [dict(row) for row in rows]


def test_a_run_is_recorded_when_it_starts(connection: sa.Connection) -> None:
    start_run(connection, SCHEDULED)

    (row,) = _rows(connection, export_runs)
    nothing_yet = dict.fromkeys(RunCounts.__dataclass_fields__, 0)
    assert row == {
        "run_id": "run-1",
        "trigger": "schedule",
        "schedule": "15 5 * * *",
        "scheduled_for": NOW,
        "attempts": 1,
        "started_at": NOW,
        "finished_at": None,
        "status": "running",
        "message": None,
        "version": "1.2.3",
        **nothing_yet,
    }


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.PARTIAL, RunStatus.FAILED])
def test_a_finished_run_has_its_status_counts_and_message(
    connection: sa.Connection, status: RunStatus
) -> None:
    counts = RunCounts(
        organizations=1,
        organizations_failed=2,
        rows_inserted=2**40,
        rows_changed=4,
        rows_restated=5,
        requests=6,
        requests_billed=7,
    )
    run = replace(RUN, counts=counts)
    start_run(connection, RUN)

    finish_run(connection, run, status=status, at=LATER, message="because")

    (row,) = _rows(connection, export_runs)
    assert (row["status"], row["finished_at"], row["message"]) == (status.value, LATER, "because")
    assert {name: row[name] for name in RunCounts.__dataclass_fields__} == vars(counts)


def test_finishing_a_run_leaves_other_runs_alone(connection: sa.Connection) -> None:
    other = replace(RUN, run_id="run-2")
    start_run(connection, RUN)
    finish_run(connection, RUN, status=RunStatus.SUCCEEDED, at=LATER)
    start_run(connection, other)

    finish_run(connection, other, status=RunStatus.FAILED, at=LATER, message="disk full")

    ended = [(row["run_id"], row["status"], row["message"]) for row in _rows(connection, export_runs)]
    assert ended == [("run-1", "succeeded", None), ("run-2", "failed", "disk full")]


def test_a_run_that_never_finished_is_marked_as_interrupted_by_the_next(connection: sa.Connection) -> None:
    start_run(connection, RUN)
    start_run(connection, replace(RUN, run_id="run-2", started_at=LATER))

    first, second = _rows(connection, export_runs)
    assert (first["status"], first["finished_at"]) == ("interrupted", LATER)
    assert "killed" in str(first["message"])
    assert (second["status"], second["finished_at"]) == ("running", None)


def test_a_run_that_finished_stays_as_it_ended(connection: sa.Connection) -> None:
    start_run(connection, RUN)
    finish_run(connection, RUN, status=RunStatus.PARTIAL, at=LATER, message="one failed")
    before = _rows(connection, export_runs)

    start_run(connection, replace(RUN, run_id="run-2"))

    assert _rows(connection, export_runs)[:1] == before


def test_an_instant_of_a_schedule_gets_one_run(connection: sa.Connection) -> None:
    start_run(connection, SCHEDULED)
    twin = {**_rows(connection, export_runs)[0], "run_id": "run-2"}

    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        connection.execute(export_runs.insert(), [twin])

    assert [row["run_id"] for row in _rows(connection, export_runs)] == ["run-1"]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.PARTIAL, RunStatus.INTERRUPTED])
def test_a_further_attempt_goes_on_with_the_run_of_its_instant(
    connection: sa.Connection, status: RunStatus
) -> None:
    first = start_run(connection, replace(SCHEDULED, counts=RunCounts()))
    first.counts.organizations, first.counts.rows_inserted, first.counts.organizations_failed = 5, 90, 2
    finish_run(connection, first, status=status, at=LATER, message="it failed")

    second = start_run(connection, replace(SCHEDULED, run_id="run-2", started_at=LATER, counts=RunCounts()))
    second.counts.organizations, second.counts.rows_inserted = 2, 10
    finish_run(connection, second, status=RunStatus.SUCCEEDED, at=LATER)

    (row,) = _rows(connection, export_runs)
    assert (row["run_id"], row["attempts"], row["status"], row["message"]) == ("run-1", 2, "succeeded", None)
    assert (row["organizations"], row["organizations_failed"], row["rows_inserted"]) == (5, 0, 100)


def test_a_run_that_was_killed_is_gone_on_with(connection: sa.Connection) -> None:
    start_run(connection, SCHEDULED)

    resumed = start_run(connection, replace(SCHEDULED, run_id="run-2", started_at=LATER))

    assert (resumed.run_id, resumed.attempts) == ("run-1", 2)


def test_a_due_run_that_has_succeeded_is_not_started_again(connection: sa.Connection) -> None:
    finish_run(connection, start_run(connection, SCHEDULED), status=RunStatus.SUCCEEDED, at=LATER)

    with pytest.raises(RunAlreadyDoneError):
        start_run(connection, replace(SCHEDULED, run_id="run-2"))

    assert [row["status"] for row in _rows(connection, export_runs)] == ["succeeded"]


def test_outcomes_of_a_further_attempt_replace_those_before(connection: sa.Connection) -> None:
    failed = Outcome("org", "last_month", OutcomeStatus.FAILED, error_code="HTTP_503")
    insert_outcomes(connection, RUN, [failed], at=NOW)

    stored = Outcome("org", "last_month", OutcomeStatus.STORED, rows_seen=3)
    insert_outcomes(connection, replace(RUN, attempts=2), [stored], at=LATER)

    (row,) = _rows(connection, export_outcomes)
    assert (row["status"], row["error_code"], row["finished_at"]) == ("stored", None, LATER)


def test_what_was_done_for_an_instant_is_known(connection: sa.Connection) -> None:
    schedule, due = SCHEDULED.schedule or "", NOW
    assert read_due_run(connection, schedule, due) == DueRun(schedule, due)

    run = start_run(connection, SCHEDULED)
    failed = Outcome("b", "last_month", OutcomeStatus.FAILED)
    insert_outcomes(connection, run, [Outcome("a", "last_month", OutcomeStatus.STORED), failed], at=LATER)
    finish_run(connection, run, status=RunStatus.PARTIAL, at=LATER)

    known = read_due_run(connection, schedule, due)
    assert known == DueRun(schedule, due, 1, RunStatus.PARTIAL, LATER, failed_organizations=("b",))


def test_the_last_success_is_the_newest_run_that_exported_all(connection: sa.Connection) -> None:
    assert read_last_success(connection) is None
    for number, status in enumerate((RunStatus.SUCCEEDED, RunStatus.SUCCEEDED, RunStatus.PARTIAL)):
        run = start_run(connection, replace(RUN, run_id=f"run-{number}", started_at=NOW + timedelta(number)))
        finish_run(connection, run, status=status, at=LATER)

    assert read_last_success(connection) == NOW + timedelta(1)


@pytest.mark.parametrize(
    "other", [replace(SCHEDULED, schedule="0 6 * * *"), replace(SCHEDULED, scheduled_for=LATER)]
)
def test_other_schedules_and_instants_get_their_own_run(connection: sa.Connection, other: RunRecord) -> None:
    start_run(connection, SCHEDULED)
    start_run(connection, replace(other, run_id="run-2"))

    assert len(_rows(connection, export_runs)) == 2


def test_manual_runs_are_not_bound_to_an_instant(connection: sa.Connection) -> None:
    start_run(connection, RUN)
    start_run(connection, replace(RUN, run_id="run-2"))

    assert len(_rows(connection, export_runs)) == 2


def test_outcomes_are_recorded_as_they_are(connection: sa.Connection) -> None:
    stored = Outcome(
        ACME,
        "current_month",
        OutcomeStatus.STORED,
        rows_seen=3,
        rows_inserted=2,
        rows_changed=1,
        duration_seconds=0.25,
    )
    failed = Outcome(
        "300123456",
        "last_month",
        OutcomeStatus.FAILED,
        error_code="PERMISSION_DENIED",
        error_message="not yours \N{SNAKE}",
        correlation_id="abc-1",
    )

    insert_outcomes(connection, RUN, [stored, failed], at=LATER)

    rows = sorted(_rows(connection, export_outcomes), key=lambda row: str(row["status"]))
    recorded = {"run_id": "run-1", "finished_at": LATER}
    assert rows == [{**vars(failed), **recorded}, {**vars(stored), **recorded}]


def test_an_outcome_is_recorded_once_a_run(connection: sa.Connection) -> None:
    outcome = Outcome(ACME, "current_month", OutcomeStatus.STORED)

    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        insert_outcomes(connection, RUN, [outcome, outcome], at=LATER)

    assert _rows(connection, export_outcomes) == []


def test_no_outcomes_record_nothing(connection: sa.Connection) -> None:
    insert_outcomes(connection, RUN, [], at=LATER)

    assert _rows(connection, export_outcomes) == []

"""The record of runs and outcomes."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage.runs import (
    Outcome,
    OutcomeStatus,
    RunCounts,
    RunRecord,
    RunStatus,
    Trigger,
    finish_run,
    insert_outcomes,
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

    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        start_run(connection, replace(SCHEDULED, run_id="run-2"))

    assert [row["run_id"] for row in _rows(connection, export_runs)] == ["run-1"]


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

    insert_outcomes(connection, "run-1", [stored, failed], at=LATER)

    rows = sorted(_rows(connection, export_outcomes), key=lambda row: str(row["status"]))
    recorded = {"run_id": "run-1", "finished_at": LATER}
    assert rows == [{**vars(failed), **recorded}, {**vars(stored), **recorded}]


def test_an_outcome_is_recorded_once_a_run(connection: sa.Connection) -> None:
    outcome = Outcome(ACME, "current_month", OutcomeStatus.STORED)

    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        insert_outcomes(connection, "run-1", [outcome, outcome], at=LATER)

    assert _rows(connection, export_outcomes) == []


def test_no_outcomes_record_nothing(connection: sa.Connection) -> None:
    insert_outcomes(connection, "run-1", [], at=LATER)

    assert _rows(connection, export_outcomes) == []

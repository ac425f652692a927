"""What people see of a run."""

from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console

from jobs.display.console import MOST_ROWS
from jobs.display.report import show_report
from jobs.report import RunReport
from storage.runs import Outcome, OutcomeStatus
from storage.upsert import Change

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
DAILY = "integrations_usage_daily"


def _report(*outcomes: Outcome, is_dry_run: bool = False) -> RunReport:
    report = RunReport("run", NOW, "1.0", is_dry_run=is_dry_run)
    report.add(outcomes)
    report.counts.organizations = len({outcome.organization for outcome in outcomes})
    return report


def _stored(organization: str) -> Outcome:
    return Outcome(
        organization, "last_month", OutcomeStatus.STORED, rows_seen=1200, rows_inserted=31, rows_changed=1
    )


def _failed(organization: str, period: str = "last_month", message: str = "Pipefy says: no.") -> Outcome:
    return Outcome(
        organization,
        period,
        OutcomeStatus.FAILED,
        error_code="DENIED",
        error_message=message,
        correlation_id="c-1",
    )


def _shown(report: RunReport, *, width: int | None = None) -> str:
    """The report on a terminal of a width, or else in a pipe."""
    console = Console(
        file=StringIO(),
        width=width or 200,
        force_terminal=width is not None,
        color_system=None,
        highlight=False,
    )
    show_report(console, report, database="sqlite:////srv/usage.db")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_a_line_for_each_failure_and_one_for_the_sums() -> None:
    report = _report(_stored("a"), _failed("b"), _failed("b", "current_month"))
    report.names["b"] = "Bravo [brackets]"

    lines = _shown(report).splitlines()

    assert lines[0] == (
        "failed Bravo [brackets] (b), last_month, current_month: DENIED Pipefy says: no. Correlation id: c-1."
    )
    assert (
        lines[2]
        == "2 organizations, 1 failed · 31 rows new, 1 changed, 0 restated · 0 requests (0 billed) · 0.0 s"
    )
    assert lines[4] == "Database   sqlite:////srv/usage.db"


def test_a_long_failure_stays_one_line_in_a_pipe() -> None:
    report = _report(_failed("b", message="why " * 100))

    (line,) = [each for each in _shown(report).splitlines() if each.startswith("failed ")]

    assert line.count("why") == 100


def test_a_terminal_shows_failing_organizations_first_and_cuts_long_names_only() -> None:
    report = _report(_stored("a"), _failed("b"))
    report.names.update({"a": "Alpha " * 20, "b": "Bravo"})

    lines = [line.rstrip() for line in _shown(report, width=60).splitlines()]

    header, _, first, second = lines[1:5]
    assert header.split() == ["Organization", "Rows", "New", "Changed", "Result"]
    assert first.split() == ["Bravo", "0", "0", "0", "DENIED"]
    assert "…" in second
    assert second.split()[-4:] == ["1,200", "31", "1", "ok"]
    assert max(map(len, lines)) <= 60


def test_a_screen_is_not_flooded() -> None:
    many = MOST_ROWS + 3
    report = _report(*(_failed(str(number)) for number in range(many)))

    shown = _shown(report, width=100)

    assert [line[:7] for line in shown.splitlines()].count("failed ") == MOST_ROWS
    assert "... and 3 more organizations" in shown
    assert "... and 3 more failed; see the table export_outcomes" in shown


def test_a_dry_run_says_what_would_change_and_that_nothing_was_written() -> None:
    report = _report(_stored("a"), is_dry_run=True)
    report.names["a"] = "Alpha"
    report.changes = [
        Change(DAILY, "a", date(2026, 6, 1), 1000, 2000, None, None),
        Change(DAILY, "b", date(2026, 6, 2), 5, 5, None, 7000),
        Change("integrations_usage_period", "a", date(2026, 6, 1), 5, 5, 1, 1, "current_month"),
    ]

    lines = _shown(report).splitlines()

    assert lines[:3] == [
        "change Alpha, daily 2026-06-01: usage 1,000 -> 2,000",
        "change b, daily 2026-06-02: limit none -> 7,000",
        "change Alpha, period current_month from 2026-06-01: its other columns only",
    ]
    assert "1 organization · 31 rows would be new, 1 would be changed · " in lines[4]
    assert lines[-1] == "Nothing was written. Database: sqlite:////srv/usage.db"


def test_a_dry_run_with_many_changes_names_where_all_of_them_are() -> None:
    report = _report(is_dry_run=True)
    report.changes = [Change(DAILY, "a", date(2026, 6, 1), 1, 2, None, None)] * (MOST_ROWS + 2)

    shown = _shown(report)

    assert shown.count("change a") == MOST_ROWS
    assert "... and 2 more changes; --json lists them all" in shown


def test_snapshots_are_named_once_and_those_set_aside_one_by_one() -> None:
    report = _report()
    report.snapshots = [
        Path(f"/srv/snap/{table}/snapshot_date=2026-06-16/{table}.parquet")
        for table in ("daily", "organizations")
    ]
    report.set_aside = [Path("/srv/snap/.set-aside/daily.unreadable")]

    lines = _shown(report).splitlines()

    assert lines[-2:] == [
        "Snapshots  /srv/snap/*/snapshot_date=2026-06-16/*.parquet (2 files)",
        "Set aside  /srv/snap/.set-aside/daily.unreadable (see .reason beside it)",
    ]

"""What people see of how things stand."""

import json
from datetime import UTC, date, datetime
from io import StringIO

from rich.console import Console

from jobs.display.console import MOST_ROWS
from jobs.display.status import show_status, status_json
from storage.status import OrganizationStatus, RunSummary

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)


def _run(status: str = "succeeded", message: str | None = None) -> RunSummary:
    return RunSummary("run", "manual", NOW, None, status, 12_345, 1, 2, 3, 0, 5, 4, message)


def _organization(name: str | None, *, error: str | None = None, uuid: str = "u") -> OrganizationStatus:
    error_at = NOW if error else None
    return OrganizationStatus(uuid, name, "main", date(2026, 6, 15), NOW, error_at, error)


def _shown(runs: list[RunSummary], organizations: list[OrganizationStatus], *, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    show_status(console, runs, organizations)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_runs_are_shown_with_what_the_last_one_says() -> None:
    lines = _shown([_run("failed", "the disk [/srv] is full"), _run()], [])

    assert [line.split() for line in lines[3:5]] == [
        ["2026-06-16", "05:15", "failed", "12,345", "1", "2", "3", "4"],
        ["2026-06-16", "05:15", "succeeded", "12,345", "1", "2", "3", "4"],
    ]
    assert "The last run says: the disk [/srv] is full" in lines


def test_failing_organizations_come_first_each_with_its_error() -> None:
    organizations = [_organization("Alpha [a]"), _organization("Zulu [z]", error="DENIED: no [at all]")]

    lines = _shown([], organizations)

    names = [line.split("  ")[0].strip() for line in lines if line.lstrip().startswith(("Alpha", "Zulu"))]
    assert names == ["Zulu [z]", "Alpha [a]"]
    assert lines[-1] == "failing Zulu [z]: DENIED: no [at all]"


def test_an_error_that_a_success_followed_is_no_failure() -> None:
    past = OrganizationStatus("u", "Alpha", "main", None, NOW, datetime(2026, 6, 1, tzinfo=UTC), "DENIED: no")

    assert not any(line.startswith("failing") for line in _shown([], [past]))


def test_what_was_never_named_or_stored_is_shown_by_its_uuid_and_dashes() -> None:
    nothing = OrganizationStatus("f16c7dd5-99c9-4615-bcb4-785fe1322939", None, None, None, None, None, None)

    lines = _shown([], [nothing])

    (row,) = [line for line in lines if "f16c7dd5" in line]
    assert row.split()[1:] == ["-", "-", "-"]
    assert max(map(len, lines)) <= 80


def test_a_screen_is_not_flooded() -> None:
    organizations = [_organization(f"O{number}", uuid=str(number)) for number in range(MOST_ROWS + 2)]

    assert "... and 2 more; --json lists them all" in _shown([], organizations)


def test_json_holds_instants_as_text_and_who_is_failing() -> None:
    read = json.loads(json.dumps(status_json([_run()], [_organization("Alpha", error="DENIED: no")])))

    assert read["runs"][0]["started_at"] == "2026-06-16T05:15:00+00:00"
    assert read["runs"][0]["finished_at"] is None
    (organization,) = read["organizations"]
    assert organization["newest_day"] == "2026-06-15"
    assert organization["is_failing"] is True

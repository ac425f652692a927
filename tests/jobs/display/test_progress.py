"""How a run goes on, where nobody watches: plain lines on standard error."""

import re

import pytest

from jobs.display.progress import show_progress
from jobs.logs import configure_logs
from storage.runs import Outcome, OutcomeStatus


def _failed(organization: str, period: str) -> Outcome:
    return Outcome(
        organization,
        period,
        OutcomeStatus.FAILED,
        error_code="DENIED",
        error_message="no",
        correlation_id="c-1",
    )


def test_there_is_a_line_a_batch_and_one_for_each_failing_organization(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored = Outcome("a", "last_month", OutcomeStatus.STORED, rows_inserted=31, rows_changed=2)

    configure_logs("human")
    with show_progress() as observer:
        observer.planned(3)
        observer.settled(2, [stored, _failed("b", "last_month"), _failed("b", "current_month")])
        observer.settled(1, [stored])

    said = capsys.readouterr()
    assert said.out == ""
    assert "\x1b" not in said.err
    planned, failed, first, second = said.err.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[info +\] export.planned +organizations=3$", planned)
    assert "export.organization_failed" in failed
    for field in (
        "organization=b",
        "periods=['last_month', 'current_month']",
        "code=DENIED",
        "message=no",
        "=c-1",
    ):
        assert field in failed
    assert re.search(r"export.batch_stored +done=2 of=3 rows_changed=2 rows_inserted=31$", first)
    assert re.search(r"export.batch_stored +done=3 of=3 rows_changed=2 rows_inserted=31$", second)

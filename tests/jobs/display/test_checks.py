"""How the checks came out, as people see it."""

from io import StringIO

import pytest
from rich.console import Console

from jobs.checks import Check, CheckState
from jobs.display.checks import show_check


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (CheckState.OK, "ok      database: [a] " + "x" * 100),
        (CheckState.WARNING, "warning database: [a] " + "x" * 100),
        (CheckState.FAILED, "failed  database: [a] " + "x" * 100),
    ],
)
def test_a_check_is_one_line(state: CheckState, line: str) -> None:
    console = Console(file=StringIO(), width=80, highlight=False)

    show_check(console, Check("database", state, "[a] " + "x" * 100))

    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == line + "\n"

"""How tables, numbers and instants look."""

from datetime import UTC, datetime

import pytest

from jobs.display.console import build_console, minute, plural


def test_where_there_is_no_terminal_lines_are_long_and_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    build_console().print("[red]one[/] 2 " + "x" * 150)

    assert capsys.readouterr().out == "one 2 " + "x" * 150 + "\n"


def test_counts_agree_with_their_noun() -> None:
    assert [plural(count, "row") for count in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]


def test_an_instant_is_shown_to_the_minute() -> None:
    assert minute(datetime(2026, 6, 16, 5, 15, 59, tzinfo=UTC)) == "2026-06-16 05:15"
    assert minute(None) == "-"

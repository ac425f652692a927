"""How the checks came out."""

from rich.console import Console
from rich.markup import escape

from jobs.checks import Check, CheckState

_STYLES = {CheckState.OK: "green", CheckState.WARNING: "yellow", CheckState.FAILED: "red"}


def show_check(console: Console, check: Check) -> None:
    """Shows one check, as one line."""
    state = f"[{_STYLES[check.state]}]{check.state.value:<7}[/]"
    console.print(
        f"{state} [bold]{escape(check.name)}[/]: {escape(check.detail)}", soft_wrap=not console.is_terminal
    )

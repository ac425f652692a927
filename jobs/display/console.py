"""Where people read, and how tables and numbers look there."""

import sys
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

# More rows than fit a screen help nobody; the tables in the database hold them all.
MOST_ROWS = 40

# Wide enough that a pipe or a log file need not break lines.
_WIDTH_ELSEWHERE = 200


def build_console() -> Console:
    """Standard output, as wide as the terminal; styles and breaks only where it is one."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_ELSEWHERE, highlight=False)


def build_table(*names: str, numbers: tuple[str, ...] = ()) -> Table:
    """A table with these columns; numbers stand to the right, and the first column gives way."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name != names[0])
    return table


def first_cell(text: str) -> Text:
    """What stands in a table's first column: one line, cut where there is no room."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def minute(instant: datetime | None) -> str:
    """An instant to the minute (UTC), or a dash."""
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M}"


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

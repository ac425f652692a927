"""What the demo did, and where to look at it."""

import shlex
import shutil
import sys

import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape

from jobs.display.console import build_table, first_cell
from jobs.display.report import show_report
from jobs.report import RunReport
from jobs.wiring import Wiring
from storage.database import connect, masked, reading, sqlite_path

_COLUMNS = ("organization_name", "date", "usage", "usage_limit")
_VIEW = sa.table("usage_daily", *map(sa.column, _COLUMNS))
_QUERY = "SELECT * FROM usage_daily ORDER BY date DESC LIMIT 20"
_NEWEST = sa.select(_VIEW).order_by(_VIEW.c.date.desc(), _VIEW.c.usage.desc()).limit(6)


def show_demo_run(console: Console, wiring: Wiring, report: RunReport) -> None:
    """Shows one of the demo's runs."""
    console.rule(f"The run of {report.started_at:%A, %Y-%m-%d}")
    show_report(console, report, database=masked(wiring.engine.url))
    console.print()


def show_demo_end(console: Console, wiring: Wiring) -> None:
    """Shows some of the rows that are stored now, and how to look at the rest."""
    console.rule("What is stored now, for example")
    _show_rows(console, wiring.engine)
    # After `make demo` the command is in no folder of PATH.
    program = "pipefy-usage" if shutil.which("pipefy-usage") else f"{shlex.quote(sys.executable)} -m jobs"
    database = shlex.quote(str(sqlite_path(wiring.engine.url)))
    snapshots = wiring.settings.snapshots.path
    console.print("Look at all of it, with what you have of these:\n")
    for command in (
        f"{program} status --config {shlex.quote(str(wiring.path))}",
        f'sqlite3 -box {database} "{_QUERY}"',
        f"duckdb -c \"SELECT * FROM '{snapshots}/integrations_usage_daily/*/*.parquet'\"",
    ):
        console.print(f"  {escape(command)}", soft_wrap=True)
    console.print(
        f"\nNothing of this came from a real account. For yours: {escape(program)} init", soft_wrap=True
    )


def _show_rows(console: Console, engine: sa.Engine) -> None:
    table = build_table(*_COLUMNS, numbers=("usage", "usage_limit"))
    with connect(reading(engine)) as connection:
        for row in connection.execute(_NEWEST):
            name, *values = ("NULL" if value is None else str(value) for value in row)
            table.add_row(first_cell(name), *values)
    console.print(f"SELECT {', '.join(_COLUMNS)} FROM usage_daily ORDER BY date DESC")
    console.print(table)

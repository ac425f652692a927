"""How things stand."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from rich.console import Console
from rich.markup import escape

from jobs.display.console import MOST_ROWS, build_table, first_cell, minute
from storage.status import OrganizationStatus, RunSummary


def show_status(
    console: Console, runs: Sequence[RunSummary], organizations: Sequence[OrganizationStatus]
) -> None:
    """Shows the last runs and each organization's freshness; failing organizations first."""
    _show_runs(console, runs)
    _show_organizations(console, organizations)


def _show_runs(console: Console, runs: Sequence[RunSummary]) -> None:
    numbers = ("Asked", "Failed", "New", "Changed", "Billed")
    table = build_table("Run started (UTC)", "Status", *numbers, numbers=numbers)
    for run in runs:
        style = {"succeeded": "green", "running": "blue"}.get(run.status, "red")
        table.add_row(
            minute(run.started_at),
            f"[{style}]{run.status}[/]",
            *(
                f"{number:,}"
                for number in (
                    run.organizations,
                    run.organizations_failed,
                    run.rows_inserted,
                    run.rows_changed,
                    run.requests_billed,
                )
            ),
        )
    console.print(table)
    if runs and runs[0].message:
        console.print(f"The last run says: {escape(runs[0].message)}\n", soft_wrap=not console.is_terminal)


def _show_organizations(console: Console, organizations: Sequence[OrganizationStatus]) -> None:
    table = build_table("Organization", "Newest day", "Last success (UTC)", "Last error (UTC)")
    failing_first = sorted(organizations, key=lambda organization: not organization.is_failing)
    for organization in failing_first[:MOST_ROWS]:
        style = "red" if organization.is_failing else "dim"
        table.add_row(
            first_cell(organization.name or organization.organization),
            str(organization.newest_day or "-"),
            minute(organization.last_success_at),
            f"[{style}]{minute(organization.last_error_at)}[/]",
        )
    console.print(table)
    if len(organizations) > MOST_ROWS:
        console.print(f"... and {len(organizations) - MOST_ROWS:,} more; --json lists them all")
    for organization in failing_first[:MOST_ROWS]:
        if organization.is_failing and organization.last_error:
            name = organization.name or organization.organization
            console.print(
                f"[red]failing[/] {escape(name)}: {escape(organization.last_error)}",
                soft_wrap=not console.is_terminal,
            )


def status_json(runs: Sequence[RunSummary], organizations: Sequence[OrganizationStatus]) -> dict[str, object]:
    """The status as plain JSON values; instants in ISO 8601, UTC."""
    return {
        "runs": [_plain(asdict(run)) for run in runs],
        "organizations": [
            {**_plain(asdict(organization)), "is_failing": organization.is_failing}
            for organization in organizations
        ],
    }


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}

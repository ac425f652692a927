"""What a run did."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from jobs.display.console import MOST_ROWS, build_table, first_cell, plural
from jobs.report import OrganizationResult, RunReport
from storage.runs import Outcome
from storage.tables import PERIOD
from storage.upsert import Change


def show_report(console: Console, report: RunReport, *, database: str) -> None:
    """Shows a run's report: organizations (on a terminal), what failed, sums, and where it all lies."""
    results = report.organizations()
    if console.is_terminal:
        _show_organizations(console, results)
    _show_failures(console, [result for result in results if result.failures])
    if report.is_dry_run:
        _show_changes(console, report)
    _show_sums(console, report)
    console.print()
    if report.is_dry_run:
        console.print(f"Nothing was written. Database: {escape(database)}")
        return
    console.print(f"Database   {escape(database)}", soft_wrap=True)
    for pattern, files in Counter(map(_pattern, report.snapshots)).items():
        console.print(f"Snapshots  {escape(pattern)} ({plural(files, 'file')})", soft_wrap=True)
    for path in report.set_aside:
        console.print(f"[yellow]Set aside  {escape(str(path))} (see .reason beside it)[/]", soft_wrap=True)


def _pattern(path: Path) -> str:
    """The path of a snapshot, its table left open."""
    return str(path.parents[2] / "*" / path.parent.name / f"*{path.suffix}")


def _show_organizations(console: Console, results: Sequence[OrganizationResult]) -> None:
    numbers = ("Rows", "New", "Changed")
    table = build_table("Organization", *numbers, "Result", numbers=numbers)
    shown = sorted(results, key=lambda result: not result.failures)[:MOST_ROWS]
    for result in shown:
        codes = sorted({failure.error_code or "" for failure in result.failures})
        table.add_row(
            first_cell(result.name or result.organization),
            f"{result.rows_seen:,}",
            f"{result.rows_inserted:,}",
            f"{result.rows_changed:,}",
            f"[red]{escape(', '.join(codes))}[/]" if codes else "[green]ok[/]",
        )
    console.print(table)
    if len(results) > len(shown):
        console.print(f"... and {plural(len(results) - len(shown), 'more organization')}\n")


def _show_failures(console: Console, failed: Sequence[OrganizationResult]) -> None:
    for result in failed[:MOST_ROWS]:
        name = f"{result.name} ({result.organization})" if result.name else result.organization
        for message, failures in _by_message(result.failures).items():
            first = failures[0]
            periods = ", ".join(failure.period for failure in failures)
            correlation = f" Correlation id: {first.correlation_id}." if first.correlation_id else ""
            console.print(
                f"[red]failed[/] {escape(name)}, {periods}: "
                f"[bold]{escape(first.error_code or '')}[/] {escape(message)}.{escape(correlation)}",
                soft_wrap=not console.is_terminal,
            )
    if len(failed) > MOST_ROWS:
        console.print(f"... and {len(failed) - MOST_ROWS:,} more failed; see the table export_outcomes")
    if failed:
        console.print()


def _by_message(failures: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    by_message: dict[str, list[Outcome]] = {}
    for failure in failures:
        by_message.setdefault((failure.error_message or "").rstrip("."), []).append(failure)
    return by_message


def _show_changes(console: Console, report: RunReport) -> None:
    changes = report.changes
    for change in changes[:MOST_ROWS]:
        name = report.names.get(change.organization_uuid, change.organization_uuid)
        console.print(
            f"change {escape(name)}, {_place(change)}: {_describe(change)}",
            soft_wrap=not console.is_terminal,
        )
    if len(changes) > MOST_ROWS:
        console.print(f"... and {len(changes) - MOST_ROWS:,} more changes; --json lists them all")
    if changes:
        console.print()


def _place(change: Change) -> str:
    """The table's short name and the bucket; a period's bucket alone would not tell which period it is."""
    table = change.table.removeprefix("integrations_usage_")
    period = f" {change.period} from" if change.table == PERIOD.name and change.period else ""
    return f"{table}{period} {change.bucket}"


def _describe(change: Change) -> str:
    differences = []
    if change.old_usage != change.new_usage:
        differences.append(f"usage {change.old_usage:,} -> {change.new_usage:,}")
    if change.old_usage_limit != change.new_usage_limit:
        differences.append(f"limit {_limit(change.old_usage_limit)} -> {_limit(change.new_usage_limit)}")
    return ", ".join(differences) or "its other columns only"


def _limit(limit: int | None) -> str:
    return "none" if limit is None else f"{limit:,}"


def _show_sums(console: Console, report: RunReport) -> None:
    counts = report.counts
    failed = f", [red]{counts.organizations_failed:,} failed[/]" if counts.organizations_failed else ""
    would = "would be " if report.is_dry_run else ""
    restated = "" if report.is_dry_run else f", {counts.rows_restated:,} restated"
    console.print(
        f"{plural(counts.organizations, 'organization')}{failed} · "
        f"{plural(counts.rows_inserted, 'row')} {would}new, "
        f"{counts.rows_changed:,} {would}changed{restated} · "
        f"{plural(counts.requests, 'request')} ({counts.requests_billed:,} billed) · "
        f"{report.duration_seconds:.1f} s"
    )

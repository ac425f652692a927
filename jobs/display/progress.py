"""How a run goes on: a bar on a terminal, a line a batch elsewhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from jobs.export import Observer
from storage.runs import Outcome


@contextmanager
def show_progress() -> Iterator[Observer]:
    """Shows a run on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("organizations"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, progress.add_task("Asking Pipefy", total=None))


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def planned(self, organizations: int) -> None:
        self._progress.update(self._task, total=organizations, description="Exporting")

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 # the bar only counts
        self._progress.advance(self._task, organizations)


class _Lines:
    """At most a line for each organization, and only for those that failed."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        # Standard output is the report's alone, so that --json can be read by programs.
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
                structlog.dev.ConsoleRenderer(colors=False),
            ],
        )

    def planned(self, organizations: int) -> None:
        self._total = organizations
        self._log.info("export.planned", organizations=organizations)

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        self._done += organizations
        failed: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.error_code:
                failed.setdefault(outcome.organization, []).append(outcome)
        for organization, failures in failed.items():
            self._log.warning(
                "export.organization_failed",
                organization=organization,
                periods=[failure.period for failure in failures],
                code=failures[0].error_code,
                message=failures[0].error_message,
                correlation_id=failures[0].correlation_id,
            )
        self._log.info(
            "export.batch_stored",
            done=self._done,
            of=self._total,
            rows_inserted=sum(outcome.rows_inserted for outcome in outcomes),
            rows_changed=sum(outcome.rows_changed for outcome in outcomes),
        )

"""How a run goes on: a bar on a terminal, a line a batch elsewhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from jobs.export import Observer
from storage.runs import Outcome

log = structlog.get_logger()


@contextmanager
def show_failures() -> Iterator[Observer]:
    """Logs the organizations of a run that fail, and nothing else."""
    yield _Failures()


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


class _Failures:
    """At most a line for each organization, and only for those that failed."""

    def planned(self, organizations: int) -> None:
        """Is no news to whoever reads of failures."""

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 # it does not count
        failed: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.error_code:
                failed.setdefault(outcome.organization, []).append(outcome)
        for organization, failures in failed.items():
            log.warning(
                "export.organization_failed",
                organization=organization,
                periods=[failure.period for failure in failures],
                code=failures[0].error_code,
                message=failures[0].error_message,
                correlation_id=failures[0].correlation_id,
            )


class _Lines(_Failures):
    """A line for each batch, too."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0

    def planned(self, organizations: int) -> None:
        self._total = organizations
        log.info("export.planned", organizations=organizations)

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        super().settled(organizations, outcomes)
        self._done += organizations
        log.info(
            "export.batch_stored",
            done=self._done,
            of=self._total,
            rows_inserted=sum(outcome.rows_inserted for outcome in outcomes),
            rows_changed=sum(outcome.rows_changed for outcome in outcomes),
        )

"""What Prometheus is told. Names and units as it advises; dashboard and alerts are tested against them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs import __version__
from jobs.report import RunReport
from storage.attention import CurrentUsage
from storage.runs import OutcomeStatus, RunStatus

_PREFIX = "pipefy_usage"
# Why requests are usually sent again; others show up when they occur.
_USUAL_REASONS = (
    "HTTP_429",
    "HTTP_500",
    "HTTP_502",
    "HTTP_503",
    "INTERNAL_SERVER_ERROR",
    "UNREACHABLE",
    "WEB_PAGE",
)
# A series for each organization helps up to here; beyond, the tables answer better.
MOST_ORGANIZATIONS = 2_000


class Metrics:
    """The service's metrics.

    Attributes:
        registry: What ``/metrics`` shows.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.registry = CollectorRegistry()
        self._organizations = _Organizations(clock)
        self.registry.register(self._organizations)
        Info(_PREFIX, "Version of pipefy-usage-export.", registry=self.registry).info(
            {"version": __version__}
        )
        self._heartbeat = self._gauge(
            "scheduler_heartbeat_timestamp_seconds", "When the scheduler last stirred."
        )
        self._next_run = self._gauge("next_run_timestamp_seconds", "When the export is due next.")
        self._last_run = self._gauge("last_run_timestamp_seconds", "When the last run started.")
        self._last_success = self._gauge(
            "last_success_timestamp_seconds", "When the last run started that exported every organization."
        )
        self._duration = self._gauge("last_run_duration_seconds", "How long the last run took.")
        self._outcomes = self._gauge("last_run_organizations", "Organizations of the last run.", "outcome")
        self._runs = self._counter("runs", "Runs that ended.", "status")
        self._inserted = self._counter("rows_inserted", "Usage rows new in the database.")
        self._changed = self._counter("rows_changed", "Usage rows whose values changed.")
        self._restated = self._counter(
            "rows_restated", "Values that Pipefy changed after their day was over."
        )
        self._requests = self._counter("requests", "Requests sent to Pipefy.", "kind")
        self._billed = self._counter("requests_billed", "GraphQL requests that count against the plan.")
        self._retries = self._counter("request_retries", "Requests that were sent again.", "reason")
        self._notices = self._counter("notices", "Pings and messages.", "result")
        self._known_label_values()

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", documentation, labels, registry=self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", documentation, labels, registry=self.registry)

    def _known_label_values(self) -> None:
        """Shows what can be counted from the start, at zero: an absent series raises no alert."""
        for status in RunStatus:
            if status is not RunStatus.RUNNING:
                self._runs.labels(status.value)
        for outcome in OutcomeStatus:
            self._outcomes.labels(outcome.value)
        for kind in ("graphql", "token"):
            self._requests.labels(kind)
        for result in ("sent", "failed"):
            self._notices.labels(result)
        for reason in _USUAL_REASONS:
            self._retries.labels(reason)

    def beat(self, instant: datetime) -> None:
        """The scheduler has stirred."""
        self._heartbeat.set(instant.timestamp())

    def expect_run(self, due: datetime | None) -> None:
        """When the export is due next."""
        self._next_run.set(float("nan") if due is None else due.timestamp())

    def count_run(self, report: RunReport) -> None:
        """A run has come to its end."""
        counts = report.counts
        self._runs.labels(report.status.value).inc()
        self._last_run.set(report.started_at.timestamp())
        if report.status is RunStatus.SUCCEEDED:
            self.succeeded_at(report.started_at)
        self._duration.set(report.duration_seconds)
        failed = counts.organizations_failed
        self._outcomes.labels(OutcomeStatus.FAILED.value).set(failed)
        self._outcomes.labels(OutcomeStatus.STORED.value).set(max(0, counts.organizations - failed))
        self._inserted.inc(counts.rows_inserted)
        self._changed.inc(counts.rows_changed)
        self._restated.inc(counts.rows_restated)
        self._requests.labels("graphql").inc(counts.requests)
        self._requests.labels("token").inc(report.token_requests)
        self._billed.inc(counts.requests_billed)
        for reason, count in report.retries.items():
            self._retries.labels(reason).inc(count)

    def count_broken_run(self, *, interrupted: bool) -> None:
        """A run was broken off."""
        self._runs.labels((RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED).value).inc()

    def count_notice(self, *, sent: bool | None) -> None:
        """A ping or message has been sent, or could not be; None if there is nobody to tell."""
        if sent is None:
            return
        self._notices.labels("sent" if sent else "failed").inc()

    def succeeded_at(self, instant: datetime) -> None:
        """When the last full success was, also by what the database remembers of earlier processes."""
        self._last_success.set(instant.timestamp())

    def show_organizations(self, organizations: Sequence[CurrentUsage]) -> None:
        """How every organization stands now; nothing of them if there are too many."""
        self._organizations.shown = organizations if len(organizations) <= MOST_ORGANIZATIONS else ()


class _Organizations(Collector):
    """Series for each organization; the age of its newest day grows while nobody stores another."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.shown: Sequence[CurrentUsage] = ()
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        today = self._clock().date()
        labels = ("organization", "name")
        ages = GaugeMetricFamily(
            f"{_PREFIX}_newest_day_age_days", "Days since the newest day that is stored.", labels=labels
        )
        tasks = GaugeMetricFamily(f"{_PREFIX}_tasks", "Tasks consumed in the current month.", labels=labels)
        limits = GaugeMetricFamily(
            f"{_PREFIX}_tasks_limit", "Tasks allowed; absent while no allowance is mapped.", labels=labels
        )
        for each in self.shown:
            values = (each.organization, each.name or "")
            if each.newest_day is not None:
                ages.add_metric(values, (today - each.newest_day).days)
            tasks.add_metric(values, each.usage)
            if each.usage_limit is not None:
                limits.add_metric(values, each.usage_limit)
        return iter((ages, tasks, limits))

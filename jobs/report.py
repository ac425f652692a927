"""What a run did."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from jobs import exits
from storage.runs import Outcome, OutcomeStatus, RunCounts, RunStatus
from storage.upsert import Change

CREDENTIALS_CODE = "CREDENTIALS"


@dataclass(frozen=True)
class OrganizationResult:
    """What a run did for one organization, over all its periods.

    Attributes:
        organization: UUID, or the configured number if no UUID is known.
        name: Its name, where known.
        rows_seen: Usage rows in the answers.
        rows_inserted: Those new in the database.
        rows_changed: Those whose values changed.
        failures: The outcomes that are failures.
    """

    organization: str
    name: str | None
    rows_seen: int
    rows_inserted: int
    rows_changed: int
    failures: tuple[Outcome, ...]


@dataclass
class RunReport:
    """What a run did, for people, for ``--json`` and for the exit status.

    Attributes:
        run_id: UUID of the run.
        started_at: The run's instant (UTC).
        version: Version of the program.
        duration_seconds: How long it took.
        counts: Sums over all organizations.
        outcomes: One for each organization and period, in the order of arrival.
        names: Names of organizations, by UUID.
        snapshots: The Parquet files that were published.
        set_aside: Snapshot files that could not be read and were moved away.
        changes: In a dry run, the stored values that would change.
        is_dry_run: Whether nothing was written.
        token_requests: Requests for a token.
        retries: GraphQL requests that were sent again, by the code of what was wrong.
    """

    run_id: str
    started_at: datetime
    version: str
    duration_seconds: float = 0.0
    counts: RunCounts = field(default_factory=RunCounts)
    outcomes: list[Outcome] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    snapshots: list[Path] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    is_dry_run: bool = False
    token_requests: int = 0
    retries: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> list[Outcome]:
        """The outcomes that are failures."""
        return [outcome for outcome in self.outcomes if outcome.status is OutcomeStatus.FAILED]

    @property
    def status(self) -> RunStatus:
        """How the run ended."""
        failed = len(self.failures)
        if not failed:
            return RunStatus.SUCCEEDED
        return RunStatus.FAILED if failed == len(self.outcomes) else RunStatus.PARTIAL

    @property
    def exit_status(self) -> int:
        """0 all exported, 1 some failed, 2 no account's credentials were accepted."""
        failures = self.failures
        if not failures:
            return exits.SUCCEEDED
        no_account_works = len(failures) == len(self.outcomes) and all(
            failure.error_code == CREDENTIALS_CODE for failure in failures
        )
        return exits.NOTHING_DONE if no_account_works else exits.SOME_FAILED

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds outcomes, and counts them."""
        self.outcomes += outcomes
        self.counts.organizations_failed += len(
            {outcome.organization for outcome in outcomes if outcome.status is OutcomeStatus.FAILED}
        )
        self.counts.rows_inserted += sum(outcome.rows_inserted for outcome in outcomes)
        self.counts.rows_changed += sum(outcome.rows_changed for outcome in outcomes)

    def organizations(self) -> list[OrganizationResult]:
        """The outcomes, summed up by organization, sorted by name."""
        by_organization = sorted(self.outcomes, key=lambda outcome: outcome.organization)
        results = [
            self._sum_up(organization, list(outcomes))
            for organization, outcomes in groupby(by_organization, key=lambda outcome: outcome.organization)
        ]
        return sorted(results, key=lambda result: (result.name or "~", result.organization))

    def _sum_up(self, organization: str, outcomes: Sequence[Outcome]) -> OrganizationResult:
        return OrganizationResult(
            organization=organization,
            name=self.names.get(organization),
            rows_seen=sum(outcome.rows_seen for outcome in outcomes),
            rows_inserted=sum(outcome.rows_inserted for outcome in outcomes),
            rows_changed=sum(outcome.rows_changed for outcome in outcomes),
            failures=tuple(outcome for outcome in outcomes if outcome.status is OutcomeStatus.FAILED),
        )

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; instants in ISO 8601, UTC."""
        return {
            "run_id": self.run_id,
            "status": self.status.value,
            "exit_status": self.exit_status,
            "dry_run": self.is_dry_run,
            "started_at": self.started_at.isoformat(),
            "duration_seconds": round(self.duration_seconds, 3),
            "version": self.version,
            **asdict(self.counts),
            "outcomes": [
                {**asdict(outcome), "name": self.names.get(outcome.organization)} for outcome in self.outcomes
            ],
            "token_requests": self.token_requests,
            "retries": self.retries,
            "snapshots": [str(path) for path in self.snapshots],
            "set_aside": [str(path) for path in self.set_aside],
            "changes": [{**asdict(change), "bucket": change.bucket.isoformat()} for change in self.changes],
        }

"""A dry run: asks Pipefy and shows what a run would insert and change, writing nothing."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from jobs import __version__
from jobs.export import Observer, RunRequest
from jobs.fetch import Batch, fetch_into
from jobs.flatten import flatten_usage
from jobs.outcomes import build_outcomes, good_answers, unresolved_outcomes
from jobs.pipefy.endpoint import Traffic
from jobs.plan import AccountTargets, plan_accounts
from jobs.report import RunReport
from storage.organizations import read_organizations
from storage.runs import Outcome
from storage.schema import open_stored
from storage.tables import USAGE_TABLES, UsageTable
from storage.upsert import CountsByAnswer, Difference, RowCounts, compare_frame


def preview_export(request: RunRequest, engine: sa.Engine, observer: Observer) -> RunReport:
    """Fetches all that is asked for and compares it with what is stored.

    It takes no lock, migrates nothing and remembers nothing; a database without tables counts as empty.

    Raises:
        ConfigurationError: A wanted organization belongs to no account.
        SchemaError: The tables are those of another version.
        DatabaseError: The database failed.
    """
    report = RunReport(str(uuid.uuid4()), started_at=request.now, version=__version__, is_dry_run=True)
    started, traffic = time.monotonic(), Traffic()
    with open_stored(engine) as connection:
        known = read_organizations(connection) if connection is not None else []
        plans = plan_accounts(request.settings.accounts, known, request.organizations)
        comparing = _Comparing(request, connection, observer, report)
        asyncio.run(fetch_into(comparing, plans, request.credentials, request.fetch_settings(traffic)))
    report.counts.requests, report.counts.requests_billed = traffic.sent, traffic.billed
    report.token_requests, report.retries = traffic.tokens, dict(traffic.retries)
    report.duration_seconds = time.monotonic() - started
    return report


@dataclass
class _Comparing:
    """Where a dry run's batches go: a comparison that is rolled back."""

    request: RunRequest
    connection: sa.Connection | None
    observer: Observer
    report: RunReport

    def take_targets(self, targets: Sequence[AccountTargets]) -> None:
        """Notes the entries of the configuration that led to no organization."""
        unresolved = sum(len(target.unresolved) for target in targets)
        self.report.counts.organizations = unresolved + sum(len(target.organizations) for target in targets)
        self.observer.planned(self.report.counts.organizations)
        outcomes = list(unresolved_outcomes(targets, self.request.wanted_periods))
        if outcomes:
            self._settle(unresolved, outcomes)

    def take_batch(self, batch: Batch) -> None:
        """Compares a batch with what is stored."""
        frames = flatten_usage(good_answers(batch))
        differences = [self._compare(usage_table, frames[usage_table.name]) for usage_table in USAGE_TABLES]
        self.report.changes += [change for each in differences for change in each.changes]
        self.report.names.update({each.uuid: each.name for each in batch.organizations if each.name})
        self._settle(
            len(batch.organizations), list(build_outcomes(batch, [each.counts for each in differences]))
        )

    def _compare(self, usage_table: UsageTable, frame: pd.DataFrame) -> Difference:
        if self.connection is None:
            return Difference(_all_new(frame), changes=())
        try:
            return compare_frame(self.connection, usage_table, frame)
        finally:
            self.connection.rollback()

    def _settle(self, organizations: int, outcomes: Sequence[Outcome]) -> None:
        self.report.add(outcomes)
        self.observer.settled(organizations, outcomes)


def _all_new(frame: pd.DataFrame) -> CountsByAnswer:
    answers = Counter(zip(frame["organization_uuid"], frame["period"], strict=True))
    return {answer: RowCounts(seen=rows, inserted=rows) for answer, rows in answers.items()}

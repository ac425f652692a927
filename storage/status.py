"""How things stand: the last runs, and for each organization how fresh its data is."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storage.runs import OutcomeStatus
from storage.tables import export_outcomes, export_runs, integrations_usage_daily, organizations

# SQLAlchemy types rows by their columns, which a whole table's rows do not name.
_Row = Any


@dataclass(frozen=True)
class RunSummary:
    """A run as the record has it; instants in UTC."""

    run_id: str
    trigger: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    organizations: int
    organizations_failed: int
    rows_inserted: int
    rows_changed: int
    rows_restated: int
    requests: int
    requests_billed: int
    message: str | None


@dataclass(frozen=True)
class OrganizationStatus:
    """How an organization stands.

    Attributes:
        organization: UUID, or the configured number if no UUID is known.
        name: Its name, where known.
        account: The account that reads it, where known.
        newest_day: The newest day stored.
        last_success_at: When a run last stored one of its periods (UTC).
        last_error_at: When one of its periods last failed (UTC).
        last_error: Code, message and correlation id of that failure.
    """

    organization: str
    name: str | None
    account: str | None
    newest_day: date | None
    last_success_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None

    @property
    def is_failing(self) -> bool:
        """Whether the last word about it was an error."""
        if self.last_error_at is None:
            return False
        return self.last_success_at is None or self.last_error_at >= self.last_success_at


def read_runs(connection: sa.Connection, *, limit: int) -> list[RunSummary]:
    """The last runs, newest first."""
    columns = [export_runs.c[name] for name in RunSummary.__dataclass_fields__]
    newest_first = sa.select(*columns).order_by(export_runs.c.started_at.desc(), export_runs.c.run_id)
    return [RunSummary(*row) for row in connection.execute(newest_first.limit(limit))]


def read_organization_statuses(connection: sa.Connection) -> list[OrganizationStatus]:
    """All organizations that a run ever asked for, sorted by name."""
    known = {row.uuid: row for row in connection.execute(sa.select(organizations))}
    # What failed under its number before its UUID was known is told of under its UUID from then on.
    resolved = {row.id for row in known.values() if row.id is not None}
    newest_days = _newest_days(connection)
    successes = _last_finished(connection, OutcomeStatus.STORED)
    errors = _last_errors(connection)
    statuses = [
        OrganizationStatus(
            organization=organization,
            name=known[organization].name if organization in known else None,
            account=known[organization].account if organization in known else None,
            newest_day=newest_days.get(organization),
            last_success_at=successes.get(organization),
            last_error_at=errors[organization].finished_at if organization in errors else None,
            last_error=_describe(errors[organization]) if organization in errors else None,
        )
        for organization in {*known, *successes, *_of_last_run(connection, errors)} - resolved
    ]
    return sorted(statuses, key=lambda status: (status.name or "~", status.organization))


def _of_last_run(connection: sa.Connection, errors: dict[str, _Row]) -> set[str]:
    """Those with errors since the newest run began: an entry that led nowhere may have been mended since."""
    began: datetime | None = connection.scalar(sa.select(sa.func.max(export_runs.c.started_at)))
    return {name for name, error in errors.items() if began is None or error.finished_at >= began}


def _newest_days(connection: sa.Connection) -> dict[str, date]:
    daily = integrations_usage_daily.c
    newest = sa.select(daily.organization_uuid, sa.func.max(daily.date)).group_by(daily.organization_uuid)
    return {row[0]: row[1] for row in connection.execute(newest)}


def _last_finished(connection: sa.Connection, status: OutcomeStatus) -> dict[str, datetime]:
    return {row[0]: row[1] for row in connection.execute(_last_of(status))}


def _last_of(status: OutcomeStatus) -> sa.Select[Any]:
    outcomes = export_outcomes.c
    return (
        sa.select(outcomes.organization, sa.func.max(outcomes.finished_at).label("finished_at"))
        .where(outcomes.status == status)
        .group_by(outcomes.organization)
    )


def _last_errors(connection: sa.Connection) -> dict[str, _Row]:
    last = _last_of(OutcomeStatus.FAILED).subquery()
    failed = (
        sa.select(export_outcomes)
        .join(
            last,
            sa.and_(
                export_outcomes.c.organization == last.c.organization,
                export_outcomes.c.finished_at == last.c.finished_at,
            ),
        )
        .where(export_outcomes.c.status == OutcomeStatus.FAILED)
        # Of periods that failed together, the first in the alphabet is told, on every database.
        .order_by(export_outcomes.c.period.desc())
    )
    return {row.organization: row for row in connection.execute(failed)}


def _describe(error: _Row) -> str:
    correlation = f" (correlation id {error.correlation_id})" if error.correlation_id else ""
    return f"{error.error_code}: {error.error_message}{correlation}"

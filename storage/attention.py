"""What people should hear of: how much is used, and who has been failing since when."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storage.runs import OutcomeStatus
from storage.status import read_organization_statuses
from storage.tables import (
    export_outcomes,
    integrations_usage_daily,
    integrations_usage_period,
    organizations,
)


@dataclass(frozen=True)
class CurrentUsage:
    """How much of its tasks an organization has used.

    Attributes:
        organization: Its UUID.
        name: Its name, where known.
        newest_day: The newest day stored.
        period_from: First day of the newest month that is stored as current.
        usage: Tasks consumed in that month, by Pipefy's own total.
        usage_limit: Tasks allowed, or None while none are mapped.
    """

    organization: str
    name: str | None
    newest_day: date | None
    period_from: date
    usage: int
    usage_limit: int | None


@dataclass(frozen=True)
class FailingOrganization:
    """An organization whose last word was an error.

    Attributes:
        organization: UUID, or the configured number if no UUID is known.
        name: Its name, where known.
        failing_since: When it failed for the first time since its last success (UTC).
        last_error: Code, message and correlation id of its last failure.
    """

    organization: str
    name: str | None
    failing_since: datetime
    last_error: str


def read_current_usages(connection: sa.Connection) -> list[CurrentUsage]:
    """The newest current month of every organization that has one."""
    period, daily = integrations_usage_period.c, integrations_usage_daily.c
    newest_month = (
        sa.select(period.organization_uuid, sa.func.max(period.period_from).label("period_from"))
        .where(period.period == "current_month")
        .group_by(period.organization_uuid)
        .subquery()
    )
    newest_day = (
        sa.select(daily.organization_uuid, sa.func.max(daily.date).label("date"))
        .group_by(daily.organization_uuid)
        .subquery()
    )
    rows = connection.execute(
        sa.select(
            period.organization_uuid,
            organizations.c.name,
            newest_day.c.date,
            period.period_from,
            period.usage,
            period.usage_limit,
        )
        .join(
            newest_month,
            sa.and_(
                period.organization_uuid == newest_month.c.organization_uuid,
                period.period_from == newest_month.c.period_from,
                period.period == "current_month",
            ),
        )
        .outerjoin(newest_day, newest_day.c.organization_uuid == period.organization_uuid)
        .outerjoin(organizations, organizations.c.uuid == period.organization_uuid)
        .order_by(period.organization_uuid)
    )
    return [CurrentUsage(*row) for row in rows]


def read_failing_organizations(connection: sa.Connection) -> list[FailingOrganization]:
    """Every organization of which a period has failed since it was last stored."""
    since: dict[str, datetime] = {}
    for row in connection.execute(_failing_periods()):
        since[row.organization] = min(row.failing_since, since.get(row.organization, row.failing_since))
    return [
        FailingOrganization(status.organization, status.name, since[status.organization], status.last_error)
        for status in read_organization_statuses(connection)
        if status.organization in since and status.last_error is not None
    ]


def _failing_periods() -> sa.Select[Any]:
    """For each organization and period that is failing, the first error since its last success."""
    outcomes = export_outcomes.c
    stored = (
        sa.select(outcomes.organization, outcomes.period, sa.func.max(outcomes.finished_at).label("at"))
        .where(outcomes.status == OutcomeStatus.STORED)
        .group_by(outcomes.organization, outcomes.period)
        .subquery()
    )
    same = sa.and_(stored.c.organization == outcomes.organization, stored.c.period == outcomes.period)
    return (
        sa.select(outcomes.organization, sa.func.min(outcomes.finished_at).label("failing_since"))
        .select_from(export_outcomes.outerjoin(stored, same))
        .where(
            outcomes.status == OutcomeStatus.FAILED,
            sa.or_(stored.c.at.is_(None), outcomes.finished_at > stored.c.at),
        )
        .group_by(outcomes.organization, outcomes.period)
    )

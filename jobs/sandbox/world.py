"""All that the sandbox knows and that can change while it runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from jobs.sandbox.accounts import Account
from jobs.sandbox.book import UsageBook
from jobs.sandbox.clock import Clock
from jobs.sandbox.limits import Limits
from jobs.sandbox.organizations import Organization
from jobs.sandbox.periods import Period


class Directory:
    """Organizations, found by UUID or by numeric id.

    Args:
        organizations: In the order in which they are listed.
    """

    def __init__(self, organizations: Iterable[Organization]) -> None:
        self.organizations = tuple(organizations)
        self.by_uuid = {organization.uuid: organization for organization in self.organizations}
        self.by_id = {organization.id: organization for organization in self.organizations}


@dataclass
class World:
    """What is true in the sandbox.

    Attributes:
        directory: The organizations.
        accounts: By client id.
        book: Their usage.
        clock: The date.
        limits: What a query and an account may do.
        overrides: Values that take the place of an answer, by organization UUID and period.
        latency_seconds: What every GraphQL request takes.
        seconds_per_alias: What each root field takes besides.
        token_seconds: How long a new token lives.
    """

    directory: Directory
    accounts: dict[str, Account]
    book: UsageBook
    clock: Clock
    limits: Limits
    latency_seconds: float
    seconds_per_alias: float
    token_seconds: float
    overrides: dict[tuple[str, str], object] = field(default_factory=dict)

    def stats(self, organization: Organization, period: Period) -> dict[str, object]:
        """Return what the usage query says of an organization now, before overrides."""
        clock = self.clock
        return self.book.stats(organization, period, today=clock.today, share_of_today=clock.share_of_today)

    def usage_on(self, organization: Organization, day: date) -> int | None:
        """Return what the history of a daily period says of a day, as of today."""
        clock = self.clock
        days = self.book.days_of(
            organization.uuid, day.replace(day=1), today=clock.today, share_of_today=clock.share_of_today
        )
        return dict(days).get(day.isoformat())

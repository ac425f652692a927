"""Everything about the stand-in that can be changed or looked at while it runs."""

from collections.abc import Iterable
from datetime import date

from jobs.sandbox.accounts import Account, account_with
from jobs.sandbox.faults.fault import Fault
from jobs.sandbox.faults.plan import Injection
from jobs.sandbox.limits import Limits
from jobs.sandbox.organizations import Organization
from jobs.sandbox.periods import PERIODS, Period
from jobs.sandbox.reception import Reception
from jobs.sandbox.record import Endpoint, ReceivedRequest
from jobs.sandbox.tokens import LONGEST_LIFE_SECONDS, TokenOffice
from jobs.sandbox.world import World


class Controls:
    """The knobs and dials of a sandbox; safe to use from another thread than the server's.

    Naming an organization or an account that there is not is a `KeyError`.

    Args:
        world: What is true.
        tokens: Where tokens come from.
        reception: The way of every request.
        client_id: Of the default account.
    """

    def __init__(self, world: World, tokens: TokenOffice, reception: Reception, client_id: str) -> None:
        self.client_id = client_id
        self._world = world
        self._tokens = tokens
        self._reception = reception

    @property
    def organizations(self) -> tuple[Organization, ...]:
        """All organizations, whoever may read them."""
        return self._world.directory.organizations

    @property
    def today(self) -> date:
        """The date it believes in, UTC; set it to a date, or to None for the real one."""
        return self._world.clock.today

    @today.setter
    def today(self, today: date | None) -> None:
        self._world.clock.set_date = today

    @property
    def share_of_today(self) -> float:
        """How much of today's usage there is already, 0 to 1.

        Half, where the date is set, else the share of the real day; set it to a share, or to None.
        """
        return self._world.clock.share_of_today

    @share_of_today.setter
    def share_of_today(self, share: float | None) -> None:
        self._world.clock.set_share = share

    @property
    def limits(self) -> Limits:
        """What a query and an account may do."""
        return self._world.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._world.limits = limits

    @property
    def latency_seconds(self) -> float:
        """What every GraphQL request takes."""
        return self._world.latency_seconds

    @latency_seconds.setter
    def latency_seconds(self, seconds: float) -> None:
        self._world.latency_seconds = seconds

    @property
    def seconds_per_alias(self) -> float:
        """What each root field takes besides."""
        return self._world.seconds_per_alias

    @seconds_per_alias.setter
    def seconds_per_alias(self, seconds: float) -> None:
        self._world.seconds_per_alias = seconds

    @property
    def token_seconds(self) -> float:
        """How long a new token lives."""
        return self._world.token_seconds

    @token_seconds.setter
    def token_seconds(self, seconds: float) -> None:
        self._world.token_seconds = seconds

    def stats(self, organization_uuid: str, period: Period) -> object:
        """Return what a query for all fields would be answered now, overrides included."""
        organization = self._organization(organization_uuid)
        stats = self._world.stats(organization, period)
        return self._world.overrides.get((organization_uuid, period), stats)

    def usage_on(self, organization_uuid: str, day: date) -> int | None:
        """Return the usage of a day as of today, or None where no history lists it."""
        return self._world.usage_on(self._organization(organization_uuid), day)

    def override(self, organization_uuid: str, period: Period, value: object) -> None:
        """Answer a period of an organization with this value, whatever fields are asked for.

        Args:
            organization_uuid: Of an organization there is.
            period: One of the three periods.
            value: Whatever `json.dumps` can write, NaN included. Errors, denials and faults go first.
        """
        self._organization(organization_uuid)
        self._world.overrides[organization_uuid, period] = value

    def remove_overrides(self, organization_uuid: str) -> None:
        """Answer all periods of an organization as before `override`."""
        for period in PERIODS:
            self._world.overrides.pop((organization_uuid, period), None)

    def restate(self, organization_uuid: str, day: date, usage: int | None) -> None:
        """Set the usage of a day, in every period that holds it; None takes the day out."""
        self._organization(organization_uuid)
        self._world.book.restate(organization_uuid, day, usage)

    def declare_total(self, organization_uuid: str, period: Period, usage: int) -> None:
        """Let `tasksConsumed.usage` of a period differ from the sum of its history."""
        self._organization(organization_uuid)
        self._world.book.declare_total(organization_uuid, period, usage)

    def add_account(
        self, client_id: str, client_secret: str, organizations: Iterable[Organization], role: str = "admin"
    ) -> Account:
        """Let there be an account that has the same role in some organizations, and none in others."""
        uuids = (organization.uuid for organization in organizations)
        account = account_with(client_id, client_secret, uuids, role)
        self._world.accounts[client_id] = account
        return account

    def set_role(self, organization_uuid: str, role: str | None, *, client_id: str | None = None) -> None:
        """Set the role of an account in an organization.

        Args:
            organization_uuid: Of an organization there is.
            role: `admin` and `super_admin` may read usage; None for no role at all.
            client_id: Of the account, or None for the default one.
        """
        self._organization(organization_uuid)
        roles = self._world.accounts[client_id or self.client_id].roles
        if role is None:
            roles.pop(organization_uuid, None)
        else:
            roles[organization_uuid] = role

    def deny(self, organization_uuid: str, *, client_id: str | None = None) -> None:
        """Make an account a mere member of an organization, which may not read its usage."""
        self.set_role(organization_uuid, "member", client_id=client_id)

    def allow(self, organization_uuid: str, *, client_id: str | None = None) -> None:
        """Make an account an admin of an organization."""
        self.set_role(organization_uuid, "admin", client_id=client_id)

    def issue_token(self, *, client_id: str | None = None, life_seconds: float = LONGEST_LIFE_SECONDS) -> str:
        """Return a ready bearer token of an account, by default of the default one."""
        account = self._world.accounts[client_id or self.client_id]
        return self._tokens.issue(account, life_seconds).text

    def revoke_tokens(self) -> None:
        """Refuse every token given out so far."""
        self._tokens.revoke_all()

    def inject(
        self, fault: Fault, *, times: int | None = 1, after: int = 0, endpoint: Endpoint = "graphql"
    ) -> Injection:
        """Switch a fault on.

        Args:
            fault: One of `jobs.sandbox.faults`.
            times: How many requests it meets; None for every one until it is removed.
            after: How many matching requests pass before the first.
            endpoint: `graphql` or `token`.

        Returns:
            What `remove` switches off.
        """
        return self._reception.plan.inject(fault, times=times, after=after, endpoint=endpoint)

    def remove(self, injection: Injection) -> None:
        """Switch a fault off."""
        self._reception.plan.remove(injection)

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._reception.plan.clear()

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Every request to the GraphQL and the token endpoint, in order."""
        return self._reception.log.requests

    @property
    def graphql_requests(self) -> int:
        """The number of requests to the GraphQL endpoint."""
        return sum(request.endpoint == "graphql" for request in self.requests)

    @property
    def token_requests(self) -> int:
        """The number of requests to the token endpoint."""
        return sum(request.endpoint == "token" for request in self.requests)

    @property
    def billed_requests(self) -> int:
        """The number of GraphQL requests that Pipefy would count against the customer's plan."""
        return sum(request.is_billed for request in self.requests)

    def forget_requests(self) -> None:
        """Count from zero."""
        self._reception.log.forget()

    def _organization(self, organization_uuid: str) -> Organization:
        return self._world.directory.by_uuid[organization_uuid]

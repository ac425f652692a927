"""What each root field of the schema answers, and the errors it answers instead."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from graphql import GraphQLError, GraphQLFieldResolver, GraphQLResolveInfo

from jobs.sandbox.accounts import Account
from jobs.sandbox.organizations import Organization
from jobs.sandbox.world import World

if TYPE_CHECKING:
    from jobs.sandbox.periods import Period


@dataclass(frozen=True)
class Asked:
    """What one root field asked for.

    Attributes:
        field: The name of the root field.
        organization_uuid: Whose, as far as the sandbox knows that organization.
        period: Of the usage query.
    """

    field: str
    organization_uuid: str | None = None
    period: str | None = None


@dataclass
class Asking:
    """One query on its way through the root fields, which run in order.

    Attributes:
        world: What is true.
        account: Who asks.
        asked: What was asked, by alias.
        spent_seconds: What the root fields so far have taken, by reckoning and not by the clock.
    """

    world: World
    account: Account
    asked: dict[str, Asked] = field(default_factory=dict)
    spent_seconds: float = 0.0

    def begin(self, alias: str | int, asked: Asked) -> None:
        """Note a root field, and refuse it when the query's time is over.

        The refusal is graphql-ruby's, whose timeout plugin fails the fields that come after.
        """
        self.asked[str(alias)] = asked
        self.spent_seconds += self.world.seconds_per_alias
        if self.spent_seconds > self.world.limits.query_seconds:
            raise GraphQLError(f"Timeout on Query.{asked.field}")


def permission_denied() -> GraphQLError:
    """Return Pipefy's error for what the caller may not see, or what does not exist."""
    return GraphQLError("Permission denied", extensions={"code": "PERMISSION_DENIED"})


def organization_not_found(organization_id: str) -> GraphQLError:
    """Return Pipefy's error for an organization id that does not exist."""
    message = f"Couldn't find Organization with 'id'={organization_id}"
    return GraphQLError(message, extensions={"code": "RESOURCE_NOT_FOUND"})


def integrations_usage_stats(_root: object, info: GraphQLResolveInfo[Asking], **arguments: str) -> object:
    """Answer the usage of an organization, for callers with a reading role in it."""
    asking = info.context
    organization_uuid, period = arguments["organizationUuid"], arguments["period"]
    asking.begin(info.path.key, Asked(info.field_name, organization_uuid, period))
    organization = asking.world.directory.by_uuid.get(organization_uuid)
    if organization is None or not asking.account.may_read(organization_uuid):
        raise permission_denied()
    return asking.world.stats(organization, cast("Period", period))


def organization_by_id(_root: object, info: GraphQLResolveInfo[Asking], **arguments: str) -> Organization:
    """Answer who an organization is, for callers that belong to it."""
    asking = info.context
    organization = asking.world.directory.by_id.get(arguments["id"])
    asking.begin(info.path.key, Asked(info.field_name, organization.uuid if organization else None))
    if organization is None:
        raise organization_not_found(arguments["id"])
    if not asking.account.belongs_to(organization.uuid):
        raise permission_denied()
    return organization


def my_usage_stats_organizations(_root: object, info: GraphQLResolveInfo[Asking]) -> list[Organization]:
    """Answer the organizations whose usage the caller may read."""
    asking = info.context
    asking.begin(info.path.key, Asked(info.field_name))
    organizations = asking.world.directory.organizations
    return [organization for organization in organizations if asking.account.may_read(organization.uuid)]


ROOT_RESOLVERS: dict[str, GraphQLFieldResolver] = {
    "integrationsUsageStats": integrations_usage_stats,
    "organization": organization_by_id,
    "myUsageStatsOrganizations": my_usage_stats_organizations,
}

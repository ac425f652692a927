"""Which organizations a run asks for, and with which account: pure."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from jobs.errors import ConfigurationError, OrganizationError
from jobs.pipefy.client import OrganizationAnswers
from jobs.pipefy.models import KnownOrganization
from jobs.settings import EVERY_ORGANIZATION, AccountSettings
from storage.organizations import Organization

_LONGEST_ENTRY = 64


@dataclass(frozen=True)
class AccountPlan:
    """What one account is asked for.

    Attributes:
        account: Its settings.
        configured: Numbers and UUIDs of organizations.
        wants_every: Whether it is asked for every organization that it may read.
        known: Those of its organizations that were exported before.
    """

    account: AccountSettings
    configured: tuple[str, ...]
    wants_every: bool
    known: tuple[Organization, ...]

    @property
    def unknown_ids(self) -> list[str]:
        """The numbers whose UUID is not known yet."""
        known = {organization.id for organization in self.known}
        return [each for each in self.configured if each.isdecimal() and each not in known]

    @property
    def wants_readable(self) -> bool:
        """Whether to ask what the account may read: to have all of it, or the names of new organizations."""
        known = {organization.uuid for organization in self.known}
        return self.wants_every or any(not each.isdecimal() and each not in known for each in self.configured)


@dataclass(frozen=True)
class Unresolved:
    """An entry of the configuration that led to no organization, and why."""

    configured: str
    error: OrganizationError


@dataclass
class AccountTargets:
    """The organizations that an account is asked for, and the entries that led to none."""

    account: AccountSettings
    organizations: list[Organization] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)


def plan_accounts(
    accounts: Sequence[AccountSettings], known: Sequence[Organization], selected: Collection[str]
) -> list[AccountPlan]:
    """What each account is asked for; accounts with nothing to ask for are left out.

    Args:
        accounts: All of the configuration.
        known: Organizations of earlier runs.
        selected: Numbers or UUIDs of the only organizations wanted; none of them means all.

    Raises:
        ConfigurationError: A selected organization belongs to no account.
    """
    plans = [
        AccountPlan(
            account,
            tuple(account.listed),
            wants_every=account.organizations == EVERY_ORGANIZATION,
            known=tuple(each for each in known if each.account == account.name or _is_listed(each, account)),
        )
        for account in accounts
    ]
    return _select(plans, selected) if selected else plans


def _is_listed(organization: Organization, account: AccountSettings) -> bool:
    return organization.id in account.listed or organization.uuid in account.listed


def _select(plans: Sequence[AccountPlan], selected: Collection[str]) -> list[AccountPlan]:
    chosen: dict[int, list[str]] = {}
    for each in selected:
        owner = _owner(plans, each)
        if owner is None:
            raise ConfigurationError(
                f"organization {each} is in no account of the configuration; add it, or name one that is"
            )
        chosen.setdefault(owner, []).append(each)
    return [
        AccountPlan(plans[index].account, tuple(entries), wants_every=False, known=plans[index].known)
        for index, entries in chosen.items()
    ]


def _owner(plans: Sequence[AccountPlan], selected: str) -> int | None:
    """The account that lists the organization; else one that reads all it may, best one that knows it."""
    claims = [_claim(plan, selected) for plan in plans]
    strongest = min(claims)
    return None if strongest is _Claim.NONE else claims.index(strongest)


class _Claim(enum.IntEnum):
    """How surely an organization is an account's, the surest first."""

    LISTED = 1
    EXPORTED = 2
    PERHAPS_READABLE = 3
    NONE = 4


def _claim(plan: AccountPlan, selected: str) -> _Claim:
    known = [each for each in plan.known if selected in {each.id, each.uuid}]
    if selected in plan.configured or any(_is_listed(each, plan.account) for each in known):
        return _Claim.LISTED
    if plan.wants_every:
        return _Claim.EXPORTED if known else _Claim.PERHAPS_READABLE
    return _Claim.NONE


def assign_organizations(
    plans: Sequence[AccountPlan], answers: Sequence[OrganizationAnswers | OrganizationError]
) -> list[AccountTargets]:
    """Each account's organizations, no organization twice.

    An organization that one account lists and another may read, too, is asked for with the first. One that
    two accounts list, by number here and by UUID there, is refused to the second; its number names the entry.

    Args:
        plans: What each account is asked for.
        answers: What came of asking about organizations, in the same order; an error stands for all of it.
    """
    owners: dict[str, Organization] = {}
    targets = [AccountTargets(plan.account) for plan in plans]
    for plan, answer, target in zip(plans, answers, targets, strict=True):
        _assign_listed(plan, answer, target, owners)
    for index, (plan, answer, target) in enumerate(zip(plans, answers, targets, strict=True)):
        if plan.wants_every:
            _assign_readable(plan, answer, target, owners, entry=_every(plan.account.name, index))
    return targets


def _assign_listed(
    plan: AccountPlan,
    answer: OrganizationAnswers | OrganizationError,
    target: AccountTargets,
    owners: dict[str, Organization],
) -> None:
    for configured in plan.configured:
        found = _identify(plan, answer, configured)
        if isinstance(found, OrganizationError):
            target.unresolved.append(Unresolved(configured, found))
        elif (owner := owners.get(found.uuid)) is None:
            owners[found.uuid] = found
            target.organizations.append(found)
        elif owner.account != found.account:
            # By its number: the UUID names what came of the first.
            number = found.id or owner.id or configured
            target.unresolved.append(Unresolved(number, _duplicate(found, owner)))


def _identify(
    plan: AccountPlan, answer: OrganizationAnswers | OrganizationError, configured: str
) -> Organization | OrganizationError:
    account = plan.account.name
    for known in plan.known:
        if configured in {known.id, known.uuid}:
            return Organization(known.uuid, account, known.id, known.name)
    if not configured.isdecimal():
        return Organization(configured, account, name=_readable_names(answer).get(configured))
    if isinstance(answer, OrganizationError):
        return answer
    found = answer.by_id[configured]
    if isinstance(found, OrganizationError):
        return found
    return Organization(found.uuid, account, configured, found.name)


def _assign_readable(
    plan: AccountPlan,
    answer: OrganizationAnswers | OrganizationError,
    target: AccountTargets,
    owners: dict[str, Organization],
    *,
    entry: str,
) -> None:
    account = plan.account.name
    told, error = _told(answer)
    found = [Organization(each.uuid, account, name=each.name) for each in told]
    if error is not None:
        target.unresolved.append(Unresolved(entry, error))
        # Those of earlier runs are asked for all the same: a list that fails must cost no day.
        found += [each for each in plan.known if each.account == account]
    elif not found:
        target.unresolved.append(Unresolved(entry, _nothing_readable(account)))
    for organization in found:
        if organization.uuid not in owners:
            owners[organization.uuid] = organization
            target.organizations.append(organization)


def _told(
    answer: OrganizationAnswers | OrganizationError,
) -> tuple[list[KnownOrganization], OrganizationError | None]:
    """What the list of readable organizations told, and the first thing that was wrong with it."""
    readable = answer if isinstance(answer, OrganizationError) else answer.readable
    if readable is None or isinstance(readable, OrganizationError):
        return [], readable
    told = [each for each in readable if not isinstance(each, OrganizationError)]
    error = next((each for each in readable if isinstance(each, OrganizationError)), None)
    return told, error


def _every(account: str, index: int) -> str:
    """A name for the entry, short and plain enough for the record of outcomes."""
    name = f"all of {account}"
    is_plain = name.isascii() and name.isprintable() and len(name) <= _LONGEST_ENTRY
    return name if is_plain else f"all of accounts[{index}]"


def _readable_names(answer: OrganizationAnswers | OrganizationError) -> dict[str, str | None]:
    return {organization.uuid: organization.name for organization in _told(answer)[0]}


def _duplicate(organization: Organization, owner: Organization) -> OrganizationError:
    return OrganizationError(
        f"it is organization {organization.uuid}, which is listed under account {owner.account!r} and again "
        f"under {organization.account!r}; remove one of the two entries",
        code="LISTED_TWICE",
    )


def _nothing_readable(account: str) -> OrganizationError:
    return OrganizationError(
        f"account {account!r} may read no organization's usage: "
        "make its service account Admin or Super Admin of the organizations",
        code="NO_ORGANIZATIONS",
    )

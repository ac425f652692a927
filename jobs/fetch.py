"""Asking Pipefy for all that a run wants: accounts side by side, batches in bounded number."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import product
from typing import Protocol, TypeVar

from jobs.credentials import Credentials
from jobs.errors import CredentialsError, OrganizationError
from jobs.periods import Period
from jobs.pipefy.client import OrganizationAnswers, PipefyClient, UsageAnswer
from jobs.pipefy.connection import open_client
from jobs.pipefy.endpoint import Patience, Traffic
from jobs.pipefy.models import KnownOrganization
from jobs.pipefy.queries import UsageQuestion
from jobs.plan import AccountPlan, AccountTargets, assign_organizations
from jobs.report import CREDENTIALS_CODE
from jobs.settings import PipefySettings
from storage.organizations import Organization

T = TypeVar("T")

# Batches that wait for the database; more would only fill memory.
_WAITING_BATCHES = 2
# Far below the complexity that Pipefy allows, and soon answered.
_IDS_PER_REQUEST = 500


@dataclass(frozen=True)
class FetchSettings:
    """How a run asks.

    Attributes:
        pipefy: Where and how patiently.
        patience: How long and how often.
        periods: Which windows of usage.
        organizations_per_request: How many organizations share a request.
        traffic: Counts the requests of all accounts.
    """

    pipefy: PipefySettings
    patience: Patience
    periods: Sequence[Period]
    organizations_per_request: int
    traffic: Traffic


@dataclass(frozen=True)
class Batch:
    """Organizations that were asked for together, with an answer for each of their periods."""

    organizations: Sequence[Organization]
    answers: Sequence[UsageAnswer]


class Sink(Protocol):
    """Takes what is fetched. Each call ends before the next begins; all are made in threads."""

    def take_targets(self, targets: Sequence[AccountTargets]) -> None:
        """Takes what each account will be asked for; called once, first."""

    def take_batch(self, batch: Batch) -> None:
        """Takes a batch."""


async def fetch_into(
    sink: Sink,
    plans: Sequence[AccountPlan],
    credentials: Mapping[str, Credentials],
    settings: FetchSettings,
) -> None:
    """Asks Pipefy for all that is planned, and goes on asking while the sink is at work.

    Args:
        sink: Takes the batches in the order of their arrival.
        plans: What each account is asked for.
        credentials: By the account's name.
        settings: How to ask.
    """
    async with open_clients(plans, credentials, settings) as clients:
        targets = await fetch_targets(plans, clients)
        await asyncio.to_thread(sink.take_targets, targets)
        async with aclosing(fetch_batches(targets, clients, settings)) as batches:
            async for batch in batches:
                await asyncio.to_thread(sink.take_batch, batch)


@asynccontextmanager
async def open_clients(
    plans: Sequence[AccountPlan], credentials: Mapping[str, Credentials], settings: FetchSettings
) -> AsyncIterator[list[PipefyClient]]:
    """A client for each plan's account; all are closed at the end."""
    async with AsyncExitStack() as opened:
        yield [
            await opened.enter_async_context(
                open_client(
                    plan.account,
                    credentials[plan.account.name],
                    pipefy=settings.pipefy,
                    patience=settings.patience,
                    traffic=settings.traffic,
                )
            )
            for plan in plans
        ]


async def fetch_targets(
    plans: Sequence[AccountPlan], clients: Sequence[PipefyClient]
) -> list[AccountTargets]:
    """The organizations of each account, asking Pipefy only about those that no earlier run knows."""
    answers = await asyncio.gather(*map(_ask_about_organizations, plans, clients))
    return assign_organizations(plans, answers)


async def _ask_about_organizations(
    plan: AccountPlan, client: PipefyClient
) -> OrganizationAnswers | OrganizationError:
    by_id: dict[str, KnownOrganization | OrganizationError] = {}
    readable: Sequence[KnownOrganization | OrganizationError] | OrganizationError | None = None
    try:
        wants_readable = plan.wants_readable
        for ids in _chunks(plan.unknown_ids, _IDS_PER_REQUEST) or [[]]:
            answers = await client.fetch_organizations(ids, readable=wants_readable)
            by_id |= answers.by_id
            readable = answers.readable if wants_readable else readable
            wants_readable = False
    except CredentialsError as exc:
        return OrganizationError(str(exc), code=CREDENTIALS_CODE)
    return OrganizationAnswers(by_id, readable)


async def fetch_batches(
    targets: Sequence[AccountTargets], clients: Sequence[PipefyClient], settings: FetchSettings
) -> AsyncGenerator[Batch]:
    """The usage of all organizations, a batch at a time, in the order of arrival.

    No more requests are under way than connections are allowed, and when batches are not taken as fast as
    they come, no more are asked for: the memory in use does not depend on the number of organizations.
    """
    arrived: asyncio.Queue[Batch | None] = asyncio.Queue()
    places = asyncio.Semaphore(len(targets) * settings.pipefy.connections + _WAITING_BATCHES)

    async def ask_account(target: AccountTargets, client: PipefyClient) -> None:
        asking = _AccountQuestions(client, settings)
        pending = iter(_chunks(target.organizations, settings.organizations_per_request))

        async def ask_in_turn() -> None:
            for organizations in pending:
                await places.acquire()
                arrived.put_nowait(await asking.ask(organizations))

        await asyncio.gather(*(ask_in_turn() for _ in range(settings.pipefy.connections)))

    async def ask_all() -> None:
        try:
            await asyncio.gather(*map(ask_account, targets, clients))
        finally:
            arrived.put_nowait(None)

    asking_all = asyncio.create_task(ask_all())
    try:
        while (batch := await arrived.get()) is not None:
            yield batch
            places.release()
        await asking_all
    finally:
        asking_all.cancel()
        await asyncio.gather(asking_all, return_exceptions=True)


class _AccountQuestions:
    """An account's questions; once its credentials are refused, the rest is not sent."""

    def __init__(self, client: PipefyClient, settings: FetchSettings) -> None:
        self._client = client
        self._periods = settings.periods
        self._refused: OrganizationError | None = None

    async def ask(self, organizations: Sequence[Organization]) -> Batch:
        questions = [
            UsageQuestion(organization.uuid, period)
            for organization, period in product(organizations, self._periods)
        ]
        if self._refused is None:
            try:
                return Batch(organizations, await self._client.fetch_usage(questions))
            except CredentialsError as exc:
                self._refused = OrganizationError(str(exc), code=CREDENTIALS_CODE)
        return Batch(organizations, [UsageAnswer(question, self._refused, 0.0) for question in questions])


def _chunks(entries: Sequence[T], size: int) -> list[Sequence[T]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]

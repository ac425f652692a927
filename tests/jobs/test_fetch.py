import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

import pytest
from pydantic import SecretStr

from jobs.credentials import ClientCredentials, Credentials
from jobs.errors import OrganizationError
from jobs.fetch import Batch, FetchSettings, fetch_batches, fetch_into, fetch_targets, open_clients
from jobs.periods import Period
from jobs.pipefy.endpoint import Traffic
from jobs.pipefy.models import UsageStats
from jobs.plan import AccountPlan, AccountTargets, plan_accounts
from jobs.sandbox import Sandbox, faults
from jobs.settings import AccountSettings, PipefySettings
from storage.organizations import Organization
from tests.jobs.pipefy.asking import HASTE, client_credentials

WRONG = ClientCredentials("nobody", SecretStr("wrong"))


@dataclass
class Collecting:
    """A sink that keeps everything."""

    targets: list[AccountTargets] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def take_targets(self, targets: Sequence[AccountTargets]) -> None:
        self.targets += targets

    def take_batch(self, batch: Batch) -> None:
        self.threads.add(threading.get_ident())
        self.batches.append(batch)

    def results(self) -> dict[str, list[UsageStats | OrganizationError]]:
        """By the organization's UUID, in the order of arrival."""
        found: dict[str, list[UsageStats | OrganizationError]] = {}
        for batch in self.batches:
            for answer in batch.answers:
                found.setdefault(answer.question.organization_uuid, []).append(answer.result)
        return found

    def codes(self) -> dict[str, set[str]]:
        """By the organization's UUID, the codes of its failures."""
        return {
            uuid: {result.code for result in results if isinstance(result, OrganizationError)}
            for uuid, results in self.results().items()
        }


def settings(sandbox: Sandbox, **changes: int) -> FetchSettings:
    """One organization a request, one period, one connection, unless there are others."""
    known = {"organizations_per_request": 1, "connections": 1} | changes
    return FetchSettings(
        pipefy=PipefySettings(
            graphql_url=sandbox.graphql_url, token_url=sandbox.token_url, connections=known["connections"]
        ),
        patience=HASTE,
        periods=[Period.CURRENT_MONTH],
        organizations_per_request=known["organizations_per_request"],
        traffic=Traffic(),
    )


def account(name: str = "main", *organizations: str) -> AccountSettings:
    return AccountSettings(name=name, organizations=list(organizations) or "all")


def fetch(
    plans: Sequence[AccountPlan], credentials: Mapping[str, Credentials], asking: FetchSettings
) -> Collecting:
    sink = Collecting()
    asyncio.run(fetch_into(sink, plans, credentials, asking))
    return sink


def fetch_all(sandbox: Sandbox, asking: FetchSettings) -> Collecting:
    """With one account that reads all."""
    return fetch(plan_accounts([account()], [], []), {"main": client_credentials(sandbox)}, asking)


@contextmanager
def most_under_way(sandbox: Sandbox) -> Iterator[list[int]]:
    """Watches how many requests the stand-in has received and not answered."""
    seen: list[int] = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            seen.append(sum(each.status is None for each in sandbox.requests if each.endpoint == "graphql"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_every_organization_arrives_with_every_period(sandbox: Sandbox) -> None:
    asking = replace(settings(sandbox, organizations_per_request=2, connections=2), periods=list(Period))
    sink = fetch_all(sandbox, asking)
    assert sorted(sink.results()) == sorted(each.uuid for each in sandbox.organizations)
    assert {len(results) for results in sink.results().values()} == {3}
    assert {len(batch.organizations) for batch in sink.batches} == {2, 1}
    assert [len(target.organizations) for target in sink.targets] == [5]


def test_a_batch_holds_the_answers_of_its_organizations(sandbox: Sandbox) -> None:
    for batch in fetch_all(sandbox, settings(sandbox, organizations_per_request=3)).batches:
        asked = [answer.question.organization_uuid for answer in batch.answers]
        assert asked == [organization.uuid for organization in batch.organizations]


def test_the_sink_works_beside_the_loop(sandbox: Sandbox) -> None:
    assert threading.get_ident() not in fetch_all(sandbox, settings(sandbox)).threads


def test_requests_are_counted_for_all_accounts_together(sandbox: Sandbox) -> None:
    asking = settings(sandbox)
    fetch_all(sandbox, asking)
    assert asking.traffic.sent == sandbox.graphql_requests == 6
    assert asking.traffic.billed == sandbox.billed_requests == 6


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_requests_are_under_way_than_connections(connections: int) -> None:
    with Sandbox(organizations=6, latency_seconds=0.1) as sandbox, most_under_way(sandbox) as under_way:
        fetch_all(sandbox, settings(sandbox, connections=connections))
    assert max(under_way) == connections


def test_a_slow_sink_holds_further_requests_back() -> None:
    async def take_one(sandbox: Sandbox) -> None:
        plans = plan_accounts([account()], [], [])
        asking = settings(sandbox)
        async with open_clients(plans, {"main": client_credentials(sandbox)}, asking) as clients:
            targets = await fetch_targets(plans, clients)
            sandbox.forget_requests()
            async with asyncio.timeout(20), aclosing(fetch_batches(targets, clients, asking)) as batches:
                await anext(batches)
                await asyncio.sleep(0.3)

    with Sandbox(organizations=30) as sandbox:
        asyncio.run(take_one(sandbox))
        # The one in hand, one under way, and two that wait.
        assert 2 <= sandbox.graphql_requests <= 3


def test_a_sink_that_fails_ends_the_asking() -> None:
    class Full(Collecting):
        def take_batch(self, batch: Batch) -> None:
            super().take_batch(batch)
            raise OSError("disk full")

    async def fetch_in_time(sandbox: Sandbox) -> None:
        plans = plan_accounts([account()], [], [])
        async with asyncio.timeout(20):
            await fetch_into(Full(), plans, {"main": client_credentials(sandbox)}, settings(sandbox))

    with Sandbox(organizations=30, latency_seconds=0.01) as sandbox:
        with pytest.raises(OSError, match="disk full"):
            asyncio.run(fetch_in_time(sandbox))
        assert sandbox.graphql_requests < 10


def test_accounts_are_asked_side_by_side(sandbox: Sandbox) -> None:
    first, second = sandbox.organizations[:2]
    sandbox.add_account("second-client", "second-secret", [second])
    sandbox.latency_seconds = 0.1
    plans = plan_accounts([account("one", first.uuid), account("two", second.uuid)], [], [])
    credentials: dict[str, Credentials] = {
        "one": client_credentials(sandbox),
        "two": ClientCredentials("second-client", SecretStr("second-secret")),
    }
    with most_under_way(sandbox) as under_way:
        sink = fetch(plans, credentials, settings(sandbox))
    assert sink.codes() == {first.uuid: set(), second.uuid: set()}
    assert max(under_way) == 2


def test_one_slow_account_does_not_keep_the_others_waiting(sandbox: Sandbox) -> None:
    first, *others = sandbox.organizations
    sandbox.add_account("second-client", "second-secret", others)
    known = [Organization(each.uuid, "", each.id, each.name) for each in sandbox.organizations]
    plans = plan_accounts([account("one", first.uuid), account("two", *(o.uuid for o in others))], known, [])
    credentials: dict[str, Credentials] = {
        "one": client_credentials(sandbox),
        "two": ClientCredentials("second-client", SecretStr("second-secret")),
    }
    sandbox.inject(faults.FailedAliases(organizations=[first.uuid]), times=2)
    asking = settings(sandbox)
    asking = replace(asking, patience=replace(asking.patience, pause_seconds=0.2))
    arrived = [batch.organizations[0].uuid for batch in fetch(plans, credentials, asking).batches]
    assert arrived == [*(each.uuid for each in others), first.uuid]


def test_refused_credentials_leave_the_other_accounts_alone(sandbox: Sandbox) -> None:
    first, *others = sandbox.organizations
    plans = plan_accounts([account("one", *(o.uuid for o in others)), account("two", first.uuid)], [], [])
    sink = fetch(plans, {"one": WRONG, "two": client_credentials(sandbox)}, settings(sandbox))
    assert sink.codes() == {first.uuid: set()} | {each.uuid: {"CREDENTIALS"} for each in others}


@pytest.mark.parametrize("connections", [1, 4])
def test_an_account_whose_client_was_refused_sends_nothing_more(connections: int) -> None:
    with Sandbox(organizations=12) as sandbox:
        plans = plan_accounts([account("main", *(each.uuid for each in sandbox.organizations))], [], [])
        sink = fetch(plans, {"main": WRONG}, settings(sandbox, connections=connections))
        assert {code for codes in sink.codes().values() for code in codes} == {"CREDENTIALS"}
        assert len(sink.codes()) == 12
        assert (sandbox.token_requests, sandbox.graphql_requests) == (1, 0)


def test_an_account_whose_token_is_refused_on_the_way_sends_nothing_more() -> None:
    with Sandbox(organizations=12) as sandbox:
        sandbox.inject(faults.Unauthorized(), after=4, times=None)
        sink = fetch_all(sandbox, settings(sandbox))
        good = [uuid for uuid, codes in sink.codes().items() if not codes]
        assert (len(good), len(sink.codes())) == (3, 12)
        # One for the list, three good ones, and one that is refused with the old and the new token.
        assert sandbox.graphql_requests == 6


def test_refused_credentials_are_those_of_unresolved_entries_too(sandbox: Sandbox) -> None:
    organization = sandbox.organizations[0]
    plans = plan_accounts([account("main", organization.id)], [], [])
    sink = fetch(plans, {"main": WRONG}, settings(sandbox))
    [unresolved] = sink.targets[0].unresolved
    assert (unresolved.configured, unresolved.error.code) == (organization.id, "CREDENTIALS")
    assert "account 'main'" in str(unresolved.error)


def test_a_list_that_fails_costs_no_organization_of_earlier_runs(sandbox: Sandbox) -> None:
    known = [Organization(each.uuid, "main", None, each.name) for each in sandbox.organizations]
    sandbox.inject(faults.ErrorItems(({"message": "no", "path": ["a0"]},), "null"))
    plans = plan_accounts([account()], known, [])
    sink = fetch(plans, {"main": client_credentials(sandbox)}, settings(sandbox))
    assert sink.codes() == {each.uuid: set() for each in known}
    assert [entry.configured for entry in sink.targets[0].unresolved] == ["all of main"]


def test_known_organizations_are_asked_about_no_more(sandbox: Sandbox) -> None:
    known = [Organization(each.uuid, "main", each.id, each.name) for each in sandbox.organizations]
    plans = plan_accounts([account("main", *(each.id for each in sandbox.organizations))], known, [])
    fetch(plans, {"main": client_credentials(sandbox)}, settings(sandbox))
    assert {each.operation_name for each in sandbox.requests} == {None, "UsageExportStats"}


def test_very_many_numbers_are_asked_in_several_requests() -> None:
    with Sandbox(organizations=501) as sandbox:
        plans = plan_accounts([account("main", *(each.id for each in sandbox.organizations))], [], [])
        asking = settings(sandbox, organizations_per_request=100, connections=2)
        sink = fetch(plans, {"main": client_credentials(sandbox)}, asking)
        assert len(sink.codes()) == 501
        organizations = [
            each.aliases for each in sandbox.requests if each.operation_name == "UsageExportOrganizations"
        ]
        assert organizations == [500, 1]


def test_what_is_readable_is_asked_once_beside_very_many_numbers() -> None:
    with Sandbox(organizations=502) as sandbox:
        *numbered, last = sandbox.organizations
        plans = plan_accounts([account("main", *(each.id for each in numbered), last.uuid)], [], [])
        asking = settings(sandbox, organizations_per_request=100, connections=2)
        [target] = fetch(plans, {"main": client_credentials(sandbox)}, asking).targets
        assert target.organizations[-1].name == last.name
        organizations = [
            each.aliases for each in sandbox.requests if each.operation_name == "UsageExportOrganizations"
        ]
        assert organizations == [501, 1]


def test_nothing_to_ask_is_soon_done(sandbox: Sandbox) -> None:
    assert fetch([], {}, settings(sandbox)).batches == []
    assert sandbox.requests == ()


def test_what_is_left_when_the_time_is_up_fails_without_a_request() -> None:
    with Sandbox(organizations=20) as sandbox:
        sandbox.inject(faults.Hang(5.0), after=3, times=None)
        asking = settings(sandbox)
        patience = replace(asking.patience, deadline=time.monotonic() + 0.5)
        sink = fetch_all(sandbox, replace(asking, patience=patience))
        codes = [code for found in sink.codes().values() for code in found]
        assert codes == ["DEADLINE"] * 18
        assert sandbox.graphql_requests == 4

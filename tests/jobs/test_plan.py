import pytest

from jobs.errors import ConfigurationError, OrganizationError
from jobs.periods import Period
from jobs.pipefy.client import OrganizationAnswers
from jobs.pipefy.models import KnownOrganization
from jobs.plan import AccountPlan, AccountTargets, assign_organizations, plan_accounts
from jobs.sandbox import faults
from jobs.settings import AccountSettings
from storage.organizations import Organization
from storage.runs import RunStatus
from tests.exporting import Export

UUID_A = "11111111-1111-4111-8111-111111111111"
UUID_B = "22222222-2222-4222-8222-222222222222"
UUID_C = "33333333-3333-4333-8333-333333333333"
NO_ANSWERS = OrganizationAnswers({}, None)
FAILURE = OrganizationError("the list failed", code="INTERNAL_SERVER_ERROR")


def account(name: str = "main", *organizations: str) -> AccountSettings:
    """An account that lists organizations, or is to read all."""
    return AccountSettings(name=name, organizations=list(organizations) or "all")


def answers(readable: dict[str, str] | None = None, **by_id: str) -> OrganizationAnswers:
    """Names by UUID of what is readable, and UUIDs by number."""
    return OrganizationAnswers(
        {number.removeprefix("n"): KnownOrganization(uuid=uuid) for number, uuid in by_id.items()},
        None
        if readable is None
        else [KnownOrganization(uuid=uuid, name=name) for uuid, name in readable.items()],
    )


def assign(
    *asked: tuple[AccountPlan, OrganizationAnswers | OrganizationError],
) -> list[AccountTargets]:
    return assign_organizations([plan for plan, _ in asked], [answer for _, answer in asked])


def plan_one(settings: AccountSettings, *known: Organization, selected: tuple[str, ...] = ()) -> AccountPlan:
    [plan] = plan_accounts([settings], known, selected)
    return plan


def refusals(target: AccountTargets) -> list[tuple[str, str]]:
    return [(entry.configured, entry.error.code) for entry in target.unresolved]


def test_a_number_is_asked_for_until_it_is_known() -> None:
    settings = account("main", "300", "301")
    known = Organization(UUID_A, "main", "300", "A")
    assert plan_one(settings).unknown_ids == ["300", "301"]
    assert plan_one(settings, known).unknown_ids == ["301"]


def test_a_known_number_keeps_its_uuid_and_name() -> None:
    plan = plan_one(account("main", "300"), Organization(UUID_A, "main", "300", "A"))
    [target] = assign((plan, NO_ANSWERS))
    assert target.organizations == [Organization(UUID_A, "main", "300", "A")]


def test_a_number_known_from_another_account_needs_no_question() -> None:
    plan = plan_one(account("main", "300"), Organization(UUID_A, "former", "300", "A"))
    assert plan.unknown_ids == []
    [target] = assign((plan, NO_ANSWERS))
    assert target.organizations == [Organization(UUID_A, "main", "300", "A")]


def test_what_is_readable_is_asked_for_all_of_it_or_for_new_names() -> None:
    known = Organization(UUID_A, "main", None, "A")
    assert plan_one(account("main")).wants_readable
    assert plan_one(account("main", UUID_A)).wants_readable
    assert not plan_one(account("main", UUID_A), known).wants_readable
    assert not plan_one(account("main", "300")).wants_readable


def test_a_new_uuid_gets_its_name_from_the_readable() -> None:
    plan = plan_one(account("main", UUID_A, UUID_B))
    [target] = assign((plan, answers({UUID_A: "A"})))
    assert [each.name for each in target.organizations] == ["A", None]


def test_a_uuid_is_asked_for_although_nothing_is_known_of_it() -> None:
    plan = plan_one(account("main", UUID_A))
    [target] = assign((plan, FAILURE))
    assert target.organizations == [Organization(UUID_A, "main")]
    assert target.unresolved == []


def test_a_number_that_is_not_resolved_fails_alone() -> None:
    plan = plan_one(account("main", "300", "301"))
    found = OrganizationAnswers({"300": KnownOrganization(uuid=UUID_A, name="A"), "301": FAILURE}, None)
    [target] = assign((plan, found))
    assert target.organizations == [Organization(UUID_A, "main", "300", "A")]
    assert refusals(target) == [("301", "INTERNAL_SERVER_ERROR")]


def test_numbers_fail_together_when_nothing_could_be_asked() -> None:
    plan = plan_one(account("main", "300", "301"), Organization(UUID_A, "main", "300"))
    [target] = assign((plan, FAILURE))
    assert [each.uuid for each in target.organizations] == [UUID_A]
    assert refusals(target) == [("301", "INTERNAL_SERVER_ERROR")]


def test_all_means_what_is_readable_now() -> None:
    plan = plan_one(account("main"), Organization(UUID_C, "main", None, "gone"))
    [target] = assign((plan, answers({UUID_A: "A", UUID_B: "B"})))
    assert target.organizations == [
        Organization(UUID_A, "main", name="A"),
        Organization(UUID_B, "main", name="B"),
    ]


def test_a_readable_organization_that_is_told_twice_is_asked_for_once() -> None:
    twice = [KnownOrganization(uuid=UUID_A), KnownOrganization(uuid=UUID_A)]
    [target] = assign((plan_one(account("main")), OrganizationAnswers({}, twice)))
    assert [each.uuid for each in target.organizations] == [UUID_A]


@pytest.mark.parametrize("answer", [FAILURE, OrganizationAnswers({}, FAILURE)])
def test_a_list_that_fails_costs_no_organization_of_earlier_runs(
    answer: OrganizationAnswers | OrganizationError,
) -> None:
    known = [Organization(UUID_A, "main", None, "A"), Organization(UUID_B, "other", None, "B")]
    plan = plan_one(account("main"), *known)
    [target] = assign((plan, answer))
    assert target.organizations == [known[0]]
    assert refusals(target) == [("all of main", "INTERNAL_SERVER_ERROR")]


def test_an_account_that_may_read_nothing_is_told_what_to_do() -> None:
    [target] = assign((plan_one(account("main")), answers({})))
    assert target.organizations == []
    assert refusals(target) == [("all of main", "NO_ORGANIZATIONS")]
    assert "make its service account Admin" in str(target.unresolved[0].error)


def test_an_account_for_all_yields_to_one_that_lists() -> None:
    every, listing = plan_accounts([account("every"), account("listing", UUID_A)], [], ())
    targets = assign((every, answers({UUID_A: "A", UUID_B: "B"})), (listing, answers({})))
    assert [[each.uuid for each in target.organizations] for target in targets] == [[UUID_B], [UUID_A]]
    assert [target.unresolved for target in targets] == [[], []]


def test_of_two_accounts_for_all_the_first_asks() -> None:
    plans = plan_accounts([account("first"), account("second")], [], ())
    same = answers({UUID_A: "A"})
    targets = assign((plans[0], same), (plans[1], same))
    assert [len(target.organizations) for target in targets] == [1, 0]
    assert [target.unresolved for target in targets] == [[], []]


@pytest.mark.parametrize(("first", "second"), [("300", UUID_A), (UUID_A, "300")])
def test_an_organization_under_two_accounts_is_refused_to_the_second_by_its_number(
    first: str, second: str
) -> None:
    plans = plan_accounts([account("one", first), account("two", second)], [], ())
    found = answers({}, n300=UUID_A)
    one, two = assign((plans[0], found), (plans[1], found))
    assert [each.uuid for each in one.organizations] == [UUID_A]
    assert two.organizations == []
    # Its UUID names the outcome of the organization itself.
    assert refusals(two) == [("300", "LISTED_TWICE")]
    assert "'one'" in str(two.unresolved[0].error)
    assert "'two'" in str(two.unresolved[0].error)


def test_an_organization_twice_under_one_account_is_asked_for_once() -> None:
    plan = plan_one(account("main", UUID_A, "300"))
    [target] = assign((plan, answers({}, n300=UUID_A)))
    assert [each.uuid for each in target.organizations] == [UUID_A]
    assert target.unresolved == []


@pytest.mark.parametrize("name", ["Produção", "x" * 100])
def test_the_entry_for_all_has_a_short_plain_name_whatever_the_account_is_called(name: str) -> None:
    plans = plan_accounts([account("first"), account(name)], [], ())
    _, target = assign((plans[0], answers({})), (plans[1], answers({})))
    assert refusals(target) == [("all of accounts[1]", "NO_ORGANIZATIONS")]


def test_a_selection_asks_for_nothing_else() -> None:
    settings = [account("one", "300", UUID_A), account("two", UUID_B), account("every")]
    [plan] = plan_accounts(settings, [], ["300"])
    assert (plan.account.name, plan.configured, plan.wants_every) == ("one", ("300",), False)


def test_a_selection_is_shared_out_among_the_accounts_that_list_it() -> None:
    settings = [account("one", "300", UUID_A), account("two", UUID_B)]
    plans = plan_accounts(settings, [], [UUID_B, UUID_A])
    assert {plan.account.name: plan.configured for plan in plans} == {"one": (UUID_A,), "two": (UUID_B,)}


def test_a_selected_organization_may_be_named_otherwise_than_it_is_listed() -> None:
    known = Organization(UUID_A, "one", "300", "A")
    [plan] = plan_accounts([account("every"), account("one", "300")], [known], [UUID_A])
    assert plan.account.name == "one"
    [target] = assign((plan, NO_ANSWERS))
    assert target.organizations == [Organization(UUID_A, "one", "300", "A")]


def test_a_selected_organization_that_nobody_lists_goes_to_the_account_that_has_exported_it() -> None:
    known = Organization(UUID_A, "second", None, "A")
    [plan] = plan_accounts([account("first"), account("second")], [known], [UUID_A])
    assert plan.account.name == "second"


def test_a_selected_organization_that_is_new_goes_to_the_first_account_for_all() -> None:
    [plan] = plan_accounts([account("one", UUID_B), account("first"), account("second")], [], [UUID_A])
    assert plan.account.name == "first"


def test_an_account_that_no_longer_lists_an_organization_does_not_ask_for_it() -> None:
    moved = Organization(UUID_A, "old", "300", "A")
    settings = [account("old", UUID_B), account("new", "300")]
    [plan] = plan_accounts(settings, [moved], ["300"])
    assert plan.account.name == "new"


@pytest.mark.parametrize("known", [[], [Organization(UUID_A, "main", "300")]])
def test_a_selection_outside_the_configuration_is_refused(known: list[Organization]) -> None:
    with pytest.raises(ConfigurationError, match=f"organization {UUID_A} is in no account"):
        plan_accounts([account("main", UUID_B)], known, [UUID_A])


def test_a_selection_that_names_an_organization_twice_asks_once(export: Export) -> None:
    organization = export.sandbox.organizations[0]
    export.organizations = [organization.id]
    export.run()
    report = export.run(organizations=[organization.id, organization.uuid, organization.id])
    assert report.status is RunStatus.SUCCEEDED
    assert [outcome.organization for outcome in report.outcomes] == [organization.uuid] * 3


def test_an_organization_under_two_accounts_is_exported_with_the_first(export: Export) -> None:
    organization = export.sandbox.organizations[0]
    export.organizations = [organization.id]
    export.extra = f'[[accounts]]\nname = "second"\norganizations = ["{organization.uuid}"]\n'
    report = export.run(periods=[Period.CURRENT_MONTH])
    assert {(each.organization, each.error_code) for each in report.outcomes} == {
        (organization.uuid, None),
        (organization.id, "LISTED_TWICE"),
    }


def test_an_account_for_all_may_have_any_name(export: Export) -> None:
    export.extra = '[[accounts]]\nname = "Produção"\norganizations = "all"\n'
    export.sandbox.inject(faults.FailedAliases(code="FORBIDDEN", message="no"), times=None)
    report = export.run(periods=[Period.CURRENT_MONTH])
    assert [each.organization for each in report.failures] == ["all of main", "all of accounts[1]"]


def test_the_second_run_asks_for_no_number_again(sqlite_export: Export) -> None:
    sandbox = sqlite_export.sandbox
    sqlite_export.organizations = [each.id for each in sandbox.organizations]
    sqlite_export.run()
    assert [each.operation_name for each in sandbox.requests] == [
        None,
        "UsageExportOrganizations",
        "UsageExportStats",
    ]
    sandbox.forget_requests()
    assert sqlite_export.run().status is RunStatus.SUCCEEDED
    assert [each.operation_name for each in sandbox.requests] == [None, "UsageExportStats"]


def test_a_list_with_an_unreadable_entry_is_used_but_for_that_entry() -> None:
    plan = plan_one(account("main"), Organization(UUID_C, "main", None, "known"))
    [target] = assign((plan, OrganizationAnswers({}, [KnownOrganization(uuid=UUID_A), FAILURE])))
    assert [each.uuid for each in target.organizations] == [UUID_A, UUID_C]
    assert [each.error for each in target.unresolved] == [FAILURE]

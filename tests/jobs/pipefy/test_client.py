from collections.abc import Collection

import pytest

from jobs.errors import OrganizationError
from jobs.periods import Period
from jobs.pipefy.models import KnownOrganization
from jobs.sandbox import SAMPLE_STATS, Limits, Sandbox, faults
from jobs.sandbox.faults import Fault
from tests.jobs.pipefy.asking import Asking, question_for, questions_for, stats_of

SHAPES = faults.error_shapes()


def is_failing(failed: Collection[object], expected: Collection[object]) -> bool:
    return set(failed) == set(expected)


def test_many_organizations_and_periods_share_one_request(asking: Asking) -> None:
    questions = questions_for(asking.sandbox)
    answers = asking.usage(questions)
    assert [answer.question for answer in answers] == questions
    for answer in answers:
        stated = asking.sandbox.stats(answer.question.organization_uuid, answer.question.period.value)
        assert stats_of(answer).model_dump(mode="json", by_alias=True)["history"] == stated["history"]  # type: ignore[index] # a JSON object
    [request] = [each for each in asking.sandbox.requests if each.endpoint == "graphql"]
    assert (request.aliases, request.operation_name) == (15, "UsageExportStats")


def test_nothing_to_ask_is_not_asked(asking: Asking) -> None:
    assert asking.usage([]) == []
    assert asking.sandbox.requests == ()


def test_a_denied_organization_costs_nobody_elses_data(asking: Asking) -> None:
    denied = asking.sandbox.organizations[1].uuid
    asking.sandbox.deny(denied)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {question.organization_uuid for question in failed} == {denied}
    assert len(failed) == 3
    assert asking.sandbox.graphql_requests == 1


def test_pipefys_code_and_correlation_id_are_kept_and_what_mends_it_is_said(asking: Asking) -> None:
    item = {
        "message": "Permission denied",
        "path": ["a0"],
        "extensions": {"code": "PERMISSION_DENIED", "correlation_id": "abc-123"},
    }
    asking.sandbox.inject(faults.ErrorItems((item,), "null"))
    error = asking.failure(question_for(asking.sandbox))
    assert (error.code, error.correlation_id) == ("PERMISSION_DENIED", "abc-123")
    assert "Pipefy says: Permission denied (the organization does not exist, or the account is no" in str(
        error
    )


def test_an_error_inside_an_answer_is_no_null_limit(asking: Asking) -> None:
    questions = questions_for(asking.sandbox, Period.CURRENT_MONTH)
    asking.sandbox.override(questions[0].organization_uuid, "current_month", SAMPLE_STATS)
    item = {
        "message": "no limit to be had",
        "path": ["a0", "tasksConsumed", "limit"],
        "extensions": {"code": "FEATURE_NOT_ENABLED"},
    }
    asking.sandbox.inject(faults.ErrorItems((item,), "kept"))
    failed = asking.failures(questions)
    assert {question: error.code for question, error in failed.items()} == {
        questions[0]: "FEATURE_NOT_ENABLED"
    }


def test_the_first_of_several_errors_is_told(asking: Asking) -> None:
    items = tuple({"message": text, "path": ["a0"], "extensions": {"code": text}} for text in ("ONE", "TWO"))
    asking.sandbox.inject(faults.ErrorItems(items, "null"))
    assert asking.failure(question_for(asking.sandbox)).code == "ONE"


@pytest.mark.parametrize("at_path", [False, True])
@pytest.mark.parametrize("guilty", [0, 2, 4])
def test_an_answer_lost_as_a_whole_fails_only_the_guilty(asking: Asking, guilty: int, at_path: bool) -> None:  # noqa: FBT001 # a parameter of the table
    uuid = asking.sandbox.organizations[guilty].uuid
    asking.sandbox.inject(
        faults.LostAnswer(
            code="RESOURCE_NOT_FOUND", message="Not found", organizations=[uuid], at_path=at_path
        ),
        times=None,
    )
    failed = asking.failures(questions_for(asking.sandbox))
    assert is_failing(
        failed, [each for each in questions_for(asking.sandbox) if each.organization_uuid == uuid]
    )
    assert {error.code for error in failed.values()} == {"RESOURCE_NOT_FOUND"}


def test_errors_without_data_and_path_are_asked_in_halves(asking: Asking) -> None:
    item = {"message": "odd", "extensions": {"code": "ODD"}}
    asking.sandbox.inject(faults.ErrorItems((item,)), times=1)
    assert asking.failures(questions_for(asking.sandbox)) == {}
    assert [each.aliases for each in asking.sandbox.requests if each.endpoint == "graphql"] == [15, 7, 8]


def test_a_field_without_value_and_error_fails_alone(asking: Asking) -> None:
    questions = questions_for(asking.sandbox, Period.CURRENT_MONTH)
    asking.sandbox.override(questions[3].organization_uuid, "current_month", None)
    failed = asking.failures(questions)
    assert {question: error.code for question, error in failed.items()} == {questions[3]: "NO_DATA"}


def test_what_is_too_complex_is_split_until_it_passes(asking: Asking) -> None:
    asking.sandbox.limits = Limits(max_complexity=700)
    assert asking.failures(questions_for(asking.sandbox)) == {}
    complexities = [each.complexity for each in asking.sandbox.requests if each.endpoint == "graphql"]
    assert complexities[0] > 700
    assert sorted(complexities)[-2:] != [complexities[0]] * 2


def test_a_host_that_takes_no_query_at_all_says_so(asking: Asking) -> None:
    asking.sandbox.limits = Limits(max_complexity=5)
    failed = asking.failures(questions_for(asking.sandbox, organizations=1))
    assert {error.code for error in failed.values()} == {"TOO_COMPLEX"}
    assert "exceeds max complexity of 5" in str(next(iter(failed.values())))


@pytest.mark.parametrize("status", [408, 413, 504])
def test_what_is_too_slow_or_too_large_is_asked_in_halves(asking: Asking, status: int) -> None:
    asking.sandbox.inject(faults.StatusAnswer(status))
    assert asking.failures(questions_for(asking.sandbox)) == {}
    assert [each.aliases for each in asking.sandbox.requests if each.endpoint == "graphql"] == [15, 7, 8]


def test_complexity_may_be_refused_with_status_400(asking: Asking) -> None:
    item = {"message": "Query has complexity of 9, which exceeds max complexity of 8"}
    asking.sandbox.inject(faults.JsonAnswer({"errors": [item]}, 400))
    assert asking.failures(questions_for(asking.sandbox)) == {}


def test_a_single_field_that_is_late_once_is_asked_again(asking: Asking) -> None:
    asking.sandbox.inject(faults.StatusAnswer(504), times=2)
    asking.stats(question_for(asking.sandbox))
    assert asking.sandbox.graphql_requests == 3


def test_a_single_field_that_is_always_late_fails(asking: Asking) -> None:
    asking.sandbox.inject(faults.StatusAnswer(504), times=None)
    assert asking.failure(question_for(asking.sandbox)).code == "TIMEOUT"
    assert asking.sandbox.graphql_requests == 3


def test_fields_that_come_too_late_in_a_request_are_asked_again(asking: Asking) -> None:
    asking.sandbox.limits = Limits(query_seconds=0.02)
    asking.sandbox.seconds_per_alias = 0.01
    assert asking.failures(questions_for(asking.sandbox)) == {}
    aliases = [each.aliases for each in asking.sandbox.requests if each.endpoint == "graphql"]
    assert aliases == [15, 13, 11, 9, 7, 5, 3, 1]


def test_a_field_that_is_too_late_even_alone_fails(asking: Asking) -> None:
    asking.sandbox.limits = Limits(query_seconds=0.01)
    asking.sandbox.seconds_per_alias = 0.02
    failed = asking.failures(questions_for(asking.sandbox, organizations=1))
    assert {(error.code, str(error)) for error in failed.values()} == {
        ("TIMEOUT", "Pipefy says: Timeout on Query.integrationsUsageStats")
    }


def test_a_field_with_an_internal_error_is_asked_again_alone(asking: Asking) -> None:
    uuid = asking.sandbox.organizations[2].uuid
    asking.sandbox.inject(faults.FailedAliases(organizations=[uuid]), times=2)
    assert asking.failures(questions_for(asking.sandbox)) == {}
    assert [each.aliases for each in asking.sandbox.requests if each.endpoint == "graphql"] == [15, 3, 3]


def test_a_field_with_an_internal_error_for_good_fails_after_three_rounds(asking: Asking) -> None:
    uuid = asking.sandbox.organizations[2].uuid
    asking.sandbox.inject(faults.FailedAliases(organizations=[uuid]), times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {question.organization_uuid for question in failed} == {uuid}
    assert {error.code for error in failed.values()} == {"INTERNAL_SERVER_ERROR"}
    assert asking.sandbox.graphql_requests == 3


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_error_is_borne_once(asking: Asking, name: str) -> None:
    """What passes is asked again, what does not fails with a code; nothing is lost and nothing invented."""
    questions = questions_for(asking.sandbox)
    asking.sandbox.inject(SHAPES[name])
    answers = asking.usage(questions)
    assert [answer.question for answer in answers] == questions
    lasting = {"1": 15, "4-denied": 15, "4-not-found": 15, "7": 15, "9-400": 15}
    assert sum(isinstance(answer.result, OrganizationError) for answer in answers) == lasting.get(name, 0)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("1", "RESOURCE_NOT_FOUND"),
        ("2-null", "INTERNAL_SERVER_ERROR"),
        ("2-absent", "INTERNAL_SERVER_ERROR"),
        ("4-denied", "PERMISSION_DENIED"),
        ("4-not-found", "RESOURCE_NOT_FOUND"),
        ("5", "INTERNAL_SERVER_ERROR"),
        ("6-text", "UNKNOWN"),
        ("6-without-message", "INTERNAL_SERVER_ERROR"),
        ("7", "UNKNOWN"),
        ("8", "TOO_COMPLEX"),
        ("9-400", "HTTP_400"),
        ("9-429", "HTTP_429"),
        ("9-500", "HTTP_500"),
        ("9-502", "HTTP_502"),
        ("9-503", "HTTP_503"),
        ("9-504", "TIMEOUT"),
    ],
)
def test_every_shape_of_error_that_stays_has_its_code(asking: Asking, name: str, code: str) -> None:
    asking.sandbox.inject(SHAPES[name], times=None)
    failed = asking.failures(questions_for(asking.sandbox, organizations=2))
    assert [error.code for error in failed.values()] == [code] * 6


def test_a_host_without_the_query_is_asked_once_and_its_address_is_doubted(asking: Asking) -> None:
    asking.sandbox.inject(SHAPES["7"], times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert asking.sandbox.graphql_requests == 1
    assert "check pipefy.graphql_url" in str(next(iter(failed.values())))


def test_an_account_whose_calls_are_used_up_is_asked_once(asking: Asking) -> None:
    item = {"message": "Usage limit exceeded", "extensions": {"code": "USAGE_LIMIT_EXCEEDED"}}
    asking.sandbox.inject(faults.ErrorItems((item,)), times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {error.code for error in failed.values()} == {"USAGE_LIMIT_EXCEEDED"}
    assert "wait for the next month, or raise the plan" in str(next(iter(failed.values())))
    assert asking.sandbox.graphql_requests == 1


def test_an_answer_that_breaks_the_contract_fails_alone(asking: Asking) -> None:
    questions = questions_for(asking.sandbox)
    asking.sandbox.override(
        questions[0].organization_uuid, "current_month", {**SAMPLE_STATS, "activeFlows": -1}
    )
    failed = asking.failures(questions)
    assert {question: error.code for question, error in failed.items()} == {questions[0]: "INVALID_ANSWER"}
    assert "activeFlows is '-1'" in str(failed[questions[0]])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_costs_only_the_answer_that_holds_it(asking: Asking, value: float) -> None:
    questions = questions_for(asking.sandbox)
    spoiled = {**SAMPLE_STATS, "activeFlows": value}
    asking.sandbox.override(questions[0].organization_uuid, "current_month", spoiled)
    failed = asking.failures(questions)
    assert {question: error.code for question, error in failed.items()} == {questions[0]: "INVALID_ANSWER"}


def test_the_duration_of_an_answer_is_that_of_its_request(asking: Asking) -> None:
    asking.sandbox.latency_seconds = 0.05
    [answer] = asking.usage([question_for(asking.sandbox)])
    assert 0.05 <= answer.duration_seconds < 5


def test_numbers_are_resolved_and_the_readable_listed_in_one_request(asking: Asking) -> None:
    first, *_, last = asking.sandbox.organizations
    asking.sandbox.deny(last.uuid)
    answers = asking.run(lambda client: client.fetch_organizations([first.id, "999"], readable=True))
    assert answers.by_id[first.id] == KnownOrganization(uuid=first.uuid, name=first.name)
    missing = answers.by_id["999"]
    assert isinstance(missing, OrganizationError)
    assert missing.code == "RESOURCE_NOT_FOUND"
    assert isinstance(answers.readable, list)
    assert [each.uuid for each in answers.readable] == [
        each.uuid for each in asking.sandbox.organizations if each != last
    ]
    [request] = [each for each in asking.sandbox.requests if each.endpoint == "graphql"]
    assert (request.aliases, request.operation_name) == (3, "UsageExportOrganizations")


def test_what_is_not_asked_for_is_not_answered(asking: Asking) -> None:
    answers = asking.run(lambda client: client.fetch_organizations([], readable=False))
    assert (answers.by_id, answers.readable) == ({}, None)
    assert asking.sandbox.requests == ()


def _organizations_fault(*values: object) -> Fault:
    return faults.JsonAnswer({"data": {f"a{number}": value for number, value in enumerate(values)}})


@pytest.mark.parametrize("value", [{"uuid": "no uuid"}, {"uuid": None}, {"name": "A"}, "text", [], 5])
def test_an_organization_that_breaks_the_contract_is_an_error(asking: Asking, value: object) -> None:
    good = {"uuid": "8F14E45F-CEEA-4D1B-9C5A-0F3F2F6A7B11", "name": None}
    asking.sandbox.inject(_organizations_fault(value, good))
    answers = asking.run(lambda client: client.fetch_organizations(["1", "2"], readable=False))
    bad = answers.by_id["1"]
    assert isinstance(bad, OrganizationError)
    assert bad.code == "INVALID_ANSWER"
    assert answers.by_id["2"] == KnownOrganization(uuid="8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11")


@pytest.mark.parametrize("value", [{"uuid": "x"}, "text", 5])
def test_a_list_of_organizations_that_breaks_the_contract_is_an_error(asking: Asking, value: object) -> None:
    asking.sandbox.inject(_organizations_fault(value))
    answers = asking.run(lambda client: client.fetch_organizations([], readable=True))
    assert isinstance(answers.readable, OrganizationError)
    assert answers.readable.code == "INVALID_ANSWER"


@pytest.mark.parametrize("entry", [None, {"uuid": "no uuid"}, 5])
def test_an_entry_of_the_list_that_breaks_the_contract_is_an_error_of_its_own(
    asking: Asking, entry: object
) -> None:
    good = {"uuid": "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11", "name": "Acme"}
    asking.sandbox.inject(_organizations_fault([entry, good]))
    answers = asking.run(lambda client: client.fetch_organizations([], readable=True))
    assert isinstance(answers.readable, list)
    bad, known = answers.readable
    assert isinstance(bad, OrganizationError)
    assert known == KnownOrganization(**good)


def test_a_list_of_organizations_that_fails_is_an_error(asking: Asking) -> None:
    asking.sandbox.inject(faults.FailedAliases(code="FORBIDDEN", message="no"), times=None)
    answers = asking.run(lambda client: client.fetch_organizations([], readable=True))
    assert isinstance(answers.readable, OrganizationError)
    assert answers.readable.code == "FORBIDDEN"


def test_text_that_no_database_takes_is_made_storable(asking: Asking) -> None:
    item = {
        "message": "bad\x00\x1b[31m text",
        "path": ["a0"],
        "extensions": {"code": "ERRÖR\x00", "correlation_id": "id\x00"},
    }
    asking.sandbox.inject(faults.ErrorItems((item,), "null"))
    error = asking.failure(question_for(asking.sandbox))
    assert str(error) == "Pipefy says: bad��[31m text"
    assert error.code == "ERR?R?"
    assert error.correlation_id == "id?"


def test_organizations_of_a_sandbox_account_are_those_it_may_read() -> None:
    with Sandbox(organizations=3, denied=3) as sandbox:
        answers = Asking(sandbox).run(lambda client: client.fetch_organizations([], readable=True))
    assert answers.readable == []


def test_a_refusal_of_everything_is_not_asked_about_field_by_field(asking: Asking) -> None:
    item = {"message": "not today", "extensions": {"code": "ODD"}}
    asking.sandbox.inject(faults.ErrorItems((item,)), times=None)
    questions = questions_for(asking.sandbox, *Period)

    failed = asking.failures(questions)

    assert {error.code for error in failed.values()} == {"ODD"}
    assert len(failed) == len(questions)
    assert asking.sandbox.graphql_requests <= 16


def test_an_unreadable_answer_that_is_one_fields_fault_costs_only_that_field(asking: Asking) -> None:
    guilty = question_for(asking.sandbox)
    asking.sandbox.override(guilty.organization_uuid, guilty.period.value, deeply_nested(300))

    failed = asking.failures(questions_for(asking.sandbox))

    assert {question: error.code for question, error in failed.items()} == {guilty: "NO_JSON"}


def test_numbers_are_resolved_by_a_host_that_knows_no_list(asking: Asking) -> None:
    item = {"message": "Field 'myUsageStatsOrganizations' doesn't exist on type 'Query'"}
    asking.sandbox.inject(faults.ErrorItems((item,)), times=1)
    organization = asking.sandbox.organizations[0]

    answers = asking.run(lambda client: client.fetch_organizations([organization.id], readable=True))

    assert answers.by_id[organization.id] == KnownOrganization(uuid=organization.uuid, name=organization.name)
    assert isinstance(answers.readable, OrganizationError)


def deeply_nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_refused_token_beside_nulls_is_renewed_once(asking: Asking) -> None:
    item = {"title": "Unauthorized", "detail": "the token is worn out"}
    asking.sandbox.inject(faults.JsonAnswer({"data": {"a0": None}, "errors": [item]}), times=1)

    assert not asking.failures([question_for(asking.sandbox)])
    assert asking.sandbox.token_requests == 2

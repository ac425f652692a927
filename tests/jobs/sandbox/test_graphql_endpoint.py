import gzip
import uuid
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from jobs.sandbox import PERIODS, SAMPLE_STATS, Limits, Sandbox
from tests.jobs.sandbox.asking import FIELDS, Asker, usage_query

# The documentation's sample response, as it stands there.
SAMPLE_RESPONSE = """
{
"data": {
"integrationsUsageStats": {
"tasksConsumed": {
"usage": 1280,
"limit": null
},
"activeFlows": 7,
"filterDate": {
"from": "2026-06-01T00:00:00Z",
"to": "2026-06-30T23:59:59Z"
},
"history": {
"nodes": [
{ "date": "2026-06-01", "usage": 120, "limit": null },
{ "date": "2026-06-02", "usage": 64, "limit": null }
]
}
}
}
}
"""

DOCUMENTED_QUERY = """
query integrationsUsageStats($organizationUuid: ID!, $period: PeriodFilter!) {
  integrationsUsageStats(organizationUuid: $organizationUuid, period: $period) {
    tasksConsumed { usage limit }
    activeFlows
    filterDate { from to }
    history { nodes { date usage limit } }
  }
}
"""


def without_spaces(text: str) -> str:
    return "".join(text.split())


def test_the_documented_query_gets_the_documented_sample_byte_for_byte(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    sandbox.override(organization.uuid, "current_month", SAMPLE_STATS)
    variables = {"organizationUuid": organization.uuid, "period": "current_month"}
    response = ask.post(DOCUMENTED_QUERY, variables, operationName="integrationsUsageStats")
    assert response.text == without_spaces(SAMPLE_RESPONSE)


@pytest.mark.parametrize("period", PERIODS)
def test_a_full_query_gets_what_the_sandbox_says_of_itself(sandbox: Sandbox, ask: Asker, period: str) -> None:
    uuid = sandbox.organizations[1].uuid
    assert ask.stats(uuid, period) == sandbox.stats(uuid, period)  # type: ignore[arg-type] # it is a period


def test_only_the_fields_asked_for_are_answered(sandbox: Sandbox, ask: Asker) -> None:
    query = usage_query(sandbox.organizations[0].uuid).replace(FIELDS, "activeFlows")
    assert list(ask.post(query).json()["data"]["a0"]) == ["activeFlows"]


def test_aliases_are_answered_in_the_order_of_the_query(sandbox: Sandbox, ask: Asker) -> None:
    response = ask.usage(*(organization.uuid for organization in reversed(sandbox.organizations)))
    assert list(response.json()["data"]) == ["a0", "a1", "a2", "a3", "a4"]


def test_an_alias_that_fails_leaves_the_others_their_data(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.deny(first.uuid)
    response = ask.usage(first.uuid, second.uuid)
    payload = response.json()
    assert response.status_code == 200
    assert payload["data"] == {"a0": None, "a1": sandbox.stats(second.uuid, "current_month")}
    (error,) = payload["errors"]
    assert error["message"] == "Permission denied"
    assert error["path"] == ["a0"]
    assert error["locations"] == [{"line": 1, "column": 15}]
    assert error["extensions"]["code"] == "PERMISSION_DENIED"


def test_every_error_has_a_correlation_id_of_its_own(ask: Asker) -> None:
    errors = ask.usage("unknown", "unknown").json()["errors"]
    ids = {uuid.UUID(error["extensions"]["correlation_id"]) for error in errors}
    assert len(ids) == 2


def test_an_unknown_organization_looks_like_a_denied_one(ask: Asker) -> None:
    payload = ask.usage("8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11").json()
    assert payload["data"] == {"a0": None}
    assert payload["errors"][0]["extensions"]["code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("role", ["admin", "super_admin"])
def test_both_kinds_of_admins_may_read(sandbox: Sandbox, ask: Asker, role: str) -> None:
    organization = sandbox.organizations[0]
    sandbox.set_role(organization.uuid, role)
    assert ask.stats(organization.uuid) is not None


def test_access_that_is_given_back_reads_again(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    sandbox.deny(organization.uuid)
    sandbox.allow(organization.uuid)
    assert ask.stats(organization.uuid) is not None


def test_an_organization_is_found_by_its_numeric_id(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[2]
    payload = ask.post(f'{{ organization(id: "{organization.id}") {{ id uuid name }} }}').json()
    expected = {"id": organization.id, "uuid": organization.uuid, "name": organization.name}
    assert payload == {"data": {"organization": expected}}


def test_a_member_may_look_up_its_organization(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    sandbox.deny(organization.uuid)
    payload = ask.post(f'{{ organization(id: "{organization.id}") {{ uuid }} }}').json()
    assert payload["data"]["organization"] == {"uuid": organization.uuid}


def test_a_stranger_may_not_look_up_an_organization(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    sandbox.set_role(organization.uuid, None)
    payload = ask.post(f'{{ organization(id: "{organization.id}") {{ uuid }} }}').json()
    assert payload["errors"][0]["extensions"]["code"] == "PERMISSION_DENIED"


def test_an_unknown_numeric_id_is_not_found(ask: Asker) -> None:
    payload = ask.post('{ organization(id: "1") { uuid } }').json()
    assert payload["data"] == {"organization": None}
    assert payload["errors"][0]["message"] == "Couldn't find Organization with 'id'=1"
    assert payload["errors"][0]["extensions"]["code"] == "RESOURCE_NOT_FOUND"


def test_the_list_of_organizations_has_those_that_may_be_read(sandbox: Sandbox, ask: Asker) -> None:
    denied, *others = sandbox.organizations
    sandbox.deny(denied.uuid)
    payload = ask.post("{ myUsageStatsOrganizations { uuid name } }").json()
    expected = [{"uuid": organization.uuid, "name": organization.name} for organization in others]
    assert payload["data"]["myUsageStatsOrganizations"] == expected


def test_accounts_see_their_own_organizations(sandbox: Sandbox) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.add_account("other-client", "other-secret", [second], role="super_admin")
    other = Asker(sandbox, sandbox.issue_token(client_id="other-client"))
    with other.http:
        payload = other.usage(first.uuid, second.uuid).json()
    assert payload["data"]["a0"] is None
    assert payload["data"]["a1"] is not None
    assert sandbox.requests[-1].account == "other-client"


@pytest.mark.parametrize("usage", [2**31, 2**53 + 1, 2**63 - 1])
def test_integers_of_any_size_are_served_exactly(sandbox: Sandbox, ask: Asker, usage: int) -> None:
    organization = sandbox.organizations[0]
    sandbox.restate(organization.uuid, date(2026, 6, 1), usage)
    assert f'"date":"2026-06-01","usage":{usage},' in ask.usage(organization.uuid).text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"tasksConsumed": {"usage": "12"}}, '{"tasksConsumed":{"usage":"12"}}'),
        ({"tasksConsumed": {"usage": 1.5}}, '{"tasksConsumed":{"usage":1.5}}'),
        (float("nan"), "NaN"),
        ([-1], "[-1]"),
        (None, "null"),
    ],
)
def test_an_override_is_served_as_it_is(sandbox: Sandbox, ask: Asker, value: object, text: str) -> None:
    organization = sandbox.organizations[0]
    sandbox.override(organization.uuid, "current_month", value)
    assert ask.usage(organization.uuid).text == f'{{"data":{{"a0":{text}}}}}'


def test_an_override_touches_no_other_period_or_organization(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.override(first.uuid, "current_month", 0)
    assert ask.stats(first.uuid, "last_month") == sandbox.stats(first.uuid, "last_month")
    assert ask.stats(second.uuid) == sandbox.stats(second.uuid, "current_month")
    assert ask.post("{ myUsageStatsOrganizations { name } }").json()["data"]["myUsageStatsOrganizations"]


def test_a_denial_goes_before_an_override(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    sandbox.override(organization.uuid, "current_month", SAMPLE_STATS)
    sandbox.deny(organization.uuid)
    assert ask.stats(organization.uuid) is None


def test_a_removed_override_leaves_the_usage_as_before(sandbox: Sandbox, ask: Asker) -> None:
    organization = sandbox.organizations[0]
    before = ask.stats(organization.uuid)
    sandbox.override(organization.uuid, "current_month", 0)
    sandbox.remove_overrides(organization.uuid)
    assert ask.stats(organization.uuid) == before


def test_an_override_of_an_organization_there_is_not_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(KeyError):
        sandbox.override("unknown", "current_month", SAMPLE_STATS)


@pytest.mark.parametrize("authorization", [None, "Bearer unknown", "Basic c2FuZGJveDo=", ""])
def test_no_good_token_is_refused_with_401(ask: Asker, authorization: str | None) -> None:
    del ask.http.headers["Authorization"]
    if authorization is not None:
        ask.http.headers["Authorization"] = authorization
    response = ask.post("{ __typename }")
    (error,) = response.json()["errors"]
    assert response.status_code == 401
    assert error["title"] == "Unauthorized"
    assert set(error) == {"title", "detail"}


def test_a_revoked_token_is_refused_and_a_new_one_is_not(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.revoke_tokens()
    assert ask.post("{ __typename }").status_code == 401
    ask.http.headers["Authorization"] = f"Bearer {sandbox.issue_token()}"
    assert ask.post("{ __typename }").status_code == 200


def test_a_query_that_does_not_parse_is_a_bad_request(ask: Asker) -> None:
    response = ask.post("{ unclosed")
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].startswith("Syntax Error")


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b'{"query": 5}', b'{"query": "{a}", "variables": []}']
)
def test_a_body_without_a_query_is_a_bad_request(sandbox: Sandbox, ask: Asker, body: bytes) -> None:
    response = ask.http.post(sandbox.graphql_url, content=body)
    assert response.status_code == 400
    assert response.json() == {"errors": [{"message": "No query string was present"}]}


def test_a_field_there_is_not_is_reported_in_the_words_of_pipefys_server(ask: Asker) -> None:
    response = ask.post("{ integrationsUsageDetails { name } }")
    payload = response.json()
    assert response.status_code == 200
    assert "data" not in payload
    assert payload["errors"][0]["message"] == "Field 'integrationsUsageDetails' doesn't exist on type 'Query'"


def test_a_period_there_is_not_is_refused_by_validation(sandbox: Sandbox, ask: Asker) -> None:
    payload = ask.usage(sandbox.organizations[0].uuid, period="last_year").json()
    assert "data" not in payload
    assert "PeriodFilter" in payload["errors"][0]["message"]


def test_a_missing_variable_gets_errors_only(ask: Asker) -> None:
    response = ask.post(DOCUMENTED_QUERY, {"period": "current_month"})
    payload = response.json()
    assert response.status_code == 200
    assert "data" not in payload
    assert "$organizationUuid" in payload["errors"][0]["message"]


def test_an_operation_there_is_not_gets_errors_only(ask: Asker) -> None:
    payload = ask.post("query One { __typename }", operationName="Two").json()
    assert "data" not in payload
    assert "Two" in payload["errors"][0]["message"]


def test_the_named_operation_is_the_one_that_runs(sandbox: Sandbox, ask: Asker) -> None:
    query = "query One { one: __typename } query Two { two: __typename more: __typename }"
    assert ask.post(query, operationName="Two").json() == {"data": {"two": "Query", "more": "Query"}}
    assert sandbox.requests[-1].operation_name == "Two"
    assert sandbox.requests[-1].aliases == 2


def test_one_usage_query_has_a_complexity_of_160(sandbox: Sandbox, ask: Asker) -> None:
    ask.usage(sandbox.organizations[0].uuid)
    assert sandbox.requests[-1].complexity == 160


def test_fragments_count_where_they_are_spread(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    field = f'integrationsUsageStats(organizationUuid: "{uuid}", period: last_month)'
    query = f"""
      query {{
        a: {field} {{ ...Usage }}
        ... on Query {{ b: {field} {{ ... on IntegrationsUsageStats {{ ...Usage }} }} }}
      }}
      fragment Usage on IntegrationsUsageStats {{ {FIELDS} }}
    """
    assert set(ask.post(query).json()["data"]) == {"a", "b"}
    assert sandbox.requests[-1].complexity == 320
    assert sandbox.requests[-1].aliases == 2


def test_50_000_of_complexity_are_allowed_and_no_more(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    assert len(ask.usage(*[uuid] * 312).json()["data"]) == 312
    response = ask.usage(*[uuid] * 313)
    message = "Query has complexity of 50080, which exceeds max complexity of 50000"
    assert response.status_code == 200
    assert response.json() == {"errors": [{"message": message}]}


def test_too_deep_a_query_is_refused(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.limits = Limits(max_depth=3)
    payload = ask.usage(sandbox.organizations[0].uuid).json()
    assert payload == {"errors": [{"message": "Query has depth of 4, which exceeds max depth of 3"}]}


def test_requests_beyond_the_rate_are_refused_until_the_window_has_moved_on() -> None:
    now = [0.0]
    limits = Limits(max_requests=2, window_seconds=30)
    with Sandbox(limits=limits, monotonic=lambda: now[0]) as sandbox, (ask := Asker(sandbox)).http:
        assert [ask.post("{ __typename }").status_code for _ in range(3)] == [200, 200, 429]
        now[0] = 29.9
        assert ask.post("{ __typename }").status_code == 429
        now[0] = 30.0
        assert ask.post("{ __typename }").status_code == 200


def test_each_account_has_a_rate_of_its_own(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.limits = Limits(max_requests=1)
    sandbox.add_account("other-client", "other-secret", [])
    assert [ask.post("{ __typename }").status_code for _ in range(2)] == [200, 429]
    ask.http.headers["Authorization"] = f"Bearer {sandbox.issue_token(client_id='other-client')}"
    assert ask.post("{ __typename }").status_code == 200


def test_without_a_rate_limit_any_number_is_served(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.limits = Limits(max_requests=None)
    assert ask.post("{ __typename }").status_code == 200


def test_the_aliases_after_the_time_limit_fail_with_a_timeout(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.limits = Limits(query_seconds=0.025)
    sandbox.seconds_per_alias = 0.01
    payload = ask.usage(*(organization.uuid for organization in sandbox.organizations)).json()
    assert [value is None for value in payload["data"].values()] == [False, False, True, True, True]
    assert [error["path"] for error in payload["errors"]] == [["a2"], ["a3"], ["a4"]]
    assert {error["message"] for error in payload["errors"]} == {"Timeout on Query.integrationsUsageStats"}


def test_aliases_and_latency_take_their_time(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.seconds_per_alias = 0.02
    sandbox.latency_seconds = 0.01
    assert (sandbox.seconds_per_alias, sandbox.latency_seconds) == (0.02, 0.01)
    response = ask.usage(*(organization.uuid for organization in sandbox.organizations))
    assert response.elapsed >= timedelta(seconds=0.11)


def test_a_large_answer_is_compressed_for_clients_that_accept_it(sandbox: Sandbox, ask: Asker) -> None:
    uuids = (organization.uuid for organization in sandbox.organizations)
    body = {"query": usage_query(*uuids)}
    with ask.http.stream("POST", sandbox.graphql_url, json=body) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        plain = gzip.decompress(b"".join(response.iter_raw()))
    response = ask.http.post(sandbox.graphql_url, json=body, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in response.headers
    assert response.content == plain


def test_a_small_answer_is_not_compressed(ask: Asker) -> None:
    assert "Content-Encoding" not in ask.post("{ __typename }").headers


def test_the_date_header_tells_the_real_time(ask: Asker) -> None:
    answered_at = parsedate_to_datetime(ask.post("{ __typename }").headers["Date"])
    assert abs(datetime.now(UTC) - answered_at) < timedelta(seconds=3)


def test_the_schema_can_be_asked_about_itself(ask: Asker) -> None:
    payload = ask.post('{ __type(name: "PeriodFilter") { enumValues { name } } }').json()
    assert [value["name"] for value in payload["data"]["__type"]["enumValues"]] == list(PERIODS)

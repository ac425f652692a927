from importlib.resources import files

from graphql import build_schema, parse, validate

from jobs.periods import Period
from jobs.pipefy.queries import (
    ORGANIZATIONS_OPERATION,
    USAGE_OPERATION,
    UsageQuestion,
    build_query,
    organization_field,
    readable_organizations_field,
    usage_field,
)

SCHEMA = build_schema(files("jobs.sandbox").joinpath("schema.graphql").read_text(encoding="utf-8"))
QUESTIONS = [UsageQuestion(f"uuid-{number}", period) for number in range(2) for period in Period]


def test_the_operations_keep_the_names_that_pipefy_reports() -> None:
    assert USAGE_OPERATION == "UsageExportStats"
    assert ORGANIZATIONS_OPERATION == "UsageExportOrganizations"


def test_each_question_is_an_alias_with_its_own_variables() -> None:
    query = build_query(USAGE_OPERATION, [usage_field(question) for question in QUESTIONS])
    assert query.aliases == ("a0", "a1", "a2", "a3", "a4", "a5")
    assert query.variables["a4_organizationUuid"] == "uuid-1"
    assert query.variables["a4_period"] == "last_month"
    assert len(query.variables) == 12


def test_values_travel_as_variables_and_never_in_the_document() -> None:
    evil = '") { x } }'
    query = build_query(USAGE_OPERATION, [usage_field(UsageQuestion(evil, Period.LAST_MONTH))])
    assert evil not in query.document
    assert query.body()["variables"] == {"a0_organizationUuid": evil, "a0_period": "last_month"}


def test_the_body_names_its_operation() -> None:
    body = build_query(USAGE_OPERATION, [usage_field(QUESTIONS[0])]).body()
    assert body["operationName"] == "UsageExportStats"
    assert set(body) == {"operationName", "query", "variables"}


def test_the_usage_query_is_valid_in_pipefys_schema() -> None:
    query = build_query(USAGE_OPERATION, [usage_field(question) for question in QUESTIONS])
    assert validate(SCHEMA, parse(query.document)) == []


def test_the_query_for_organizations_is_valid_in_pipefys_schema() -> None:
    fields = [
        organization_field("300123456"),
        organization_field("300123457"),
        readable_organizations_field(),
    ]
    query = build_query(ORGANIZATIONS_OPERATION, fields)
    assert validate(SCHEMA, parse(query.document)) == []
    assert query.variables == {"a0_id": "300123456", "a1_id": "300123457"}


def test_a_query_without_variables_declares_none() -> None:
    query = build_query(ORGANIZATIONS_OPERATION, [readable_organizations_field()])
    assert query.document.startswith("query UsageExportOrganizations {")
    assert validate(SCHEMA, parse(query.document)) == []

"""What is picked in one go is what graphql-core would have executed field by field."""

from datetime import date

import pytest
from graphql import execute_sync, parse

from jobs.sandbox import Sandbox
from jobs.sandbox.engine import load_schema
from tests.jobs.sandbox.asking import FIELDS, Asker

SELECTIONS = [
    FIELDS,
    "activeFlows",
    "__typename",
    "flows: activeFlows again: activeFlows",
    "history { nodes { __typename day: date } } tasksConsumed { __typename }",
    "history { nodes { date } } history { nodes { usage } }",
    "...Outer",
    "... on IntegrationsUsageStats { filterDate { from } } filterDate { to }",
    "history { nodes { date usage @skip(if: $yes) limit @include(if: $no) } }",
    "tasksConsumed @include(if: $yes) { usage } ... @skip(if: $yes) { activeFlows }",
]

FRAGMENTS = """
fragment Outer on IntegrationsUsageStats { history { ...Inner } tasksConsumed { limit usage } }
fragment Inner on UsageHistory { nodes { ... on UsageHistoryNode { usage date } } }
"""


@pytest.mark.parametrize("selection", SELECTIONS)
def test_every_selection_is_answered_as_the_plain_engine_would(
    sandbox: Sandbox, ask: Asker, selection: str
) -> None:
    uuid = sandbox.organizations[0].uuid
    query = f"""
      query Usage($yes: Boolean = true, $no: Boolean = false) {{
        integrationsUsageStats(organizationUuid: "{uuid}", period: last_month) {{ {selection} }}
        name: __typename @include(if: $yes) other: __typename @include(if: $no)
      }}
    """
    if "Outer" in selection:
        query += FRAGMENTS
    plainly = _executed_plainly(query, sandbox.stats(uuid, "last_month"))
    answered = ask.post(query).json()["data"]
    assert answered == plainly
    assert list(answered["integrationsUsageStats"]) == list(plainly["integrationsUsageStats"])


def _executed_plainly(query: str, stats: object) -> dict[str, list[object]]:
    schema = load_schema()
    assert schema.query_type is not None
    schema.query_type.fields["integrationsUsageStats"].resolve = lambda *_source, **_arguments: stats
    result = execute_sync(schema, parse(query))
    assert result.errors is None
    assert result.data is not None
    return result.data


def test_the_sandbox_says_of_itself_what_the_documentation_shows() -> None:
    sandbox = Sandbox(today=date(2026, 6, 16))
    stats = sandbox.stats(sandbox.organizations[0].uuid, "current_month")
    assert isinstance(stats, dict)
    assert list(stats) == ["tasksConsumed", "activeFlows", "filterDate", "history"]

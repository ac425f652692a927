"""The queries: many root fields in one request, told apart by aliases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.periods import Period

# Pipefy reports API usage by operation name, so these stay as they are.
USAGE_OPERATION = "UsageExportStats"
ORGANIZATIONS_OPERATION = "UsageExportOrganizations"

_USAGE_SELECTION = (
    "tasksConsumed { usage limit } activeFlows filterDate { from to } history { nodes { date usage limit } }"
)


@dataclass(frozen=True)
class UsageQuestion:
    """One thing to ask for: the usage of an organization (by UUID) in a period."""

    organization_uuid: str
    period: Period


@dataclass(frozen=True)
class RootField:
    """A field of the query's root.

    Attributes:
        name: The field.
        selection: What is asked of it.
        arguments: By name, the GraphQL type and the value.
    """

    name: str
    selection: str
    arguments: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """A request's body: an operation, its document, its variables, and the alias of each root field."""

    operation: str
    document: str
    variables: Mapping[str, str]
    aliases: tuple[str, ...]

    def body(self) -> dict[str, object]:
        """What is sent as JSON."""
        return {
            "operationName": self.operation,
            "query": self.document,
            "variables": dict(self.variables),
        }


def usage_field(question: UsageQuestion) -> RootField:
    """``integrationsUsageStats``, as Pipefy's documentation of it states."""
    return RootField(
        name="integrationsUsageStats",
        selection=_USAGE_SELECTION,
        arguments={
            "organizationUuid": ("ID!", question.organization_uuid),
            "period": ("PeriodFilter!", question.period.value),
        },
    )


def organization_field(organization_id: str) -> RootField:
    """``organization``, which tells the UUID that belongs to a number."""
    return RootField("organization", "id uuid name", {"id": ("ID!", organization_id)})


def readable_organizations_field() -> RootField:
    """``myUsageStatsOrganizations``: every organization whose usage the caller may read."""
    return RootField("myUsageStatsOrganizations", "uuid name")


def build_query(operation: str, fields: Sequence[RootField]) -> Query:
    """One request for all the fields, aliased ``a0``, ``a1``, ... in their order."""
    declared: list[str] = []
    selected: list[str] = []
    variables: dict[str, str] = {}
    for index, each in enumerate(fields):
        passed = []
        for name, (graphql_type, value) in each.arguments.items():
            variable = f"a{index}_{name}"
            declared.append(f"${variable}: {graphql_type}")
            passed.append(f"{name}: ${variable}")
            variables[variable] = value
        arguments = f"({', '.join(passed)})" if passed else ""
        selected.append(f"a{index}: {each.name}{arguments} {{ {each.selection} }}")
    signature = f"({', '.join(declared)})" if declared else ""
    document = f"query {operation}{signature} {{\n" + "\n".join(selected) + "\n}"
    return Query(operation, document, variables, tuple(f"a{index}" for index in range(len(fields))))

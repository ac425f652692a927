"""A client that asks the sandbox as simply as tests can put it."""

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from jobs.sandbox import Sandbox

FIELDS = (
    "tasksConsumed { usage limit } activeFlows filterDate { from to } history { nodes { date usage limit } }"
)


@cache
def certificates() -> ssl.SSLContext:
    """Read the certificates once: httpx would for each client, and that takes longer than a test."""
    return ssl.create_default_context()


class Asker:
    """A client with a token."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(
            headers={"Authorization": f"Bearer {token or sandbox.issue_token()}"},
            trust_env=False,
            verify=certificates(),
        )

    def post(
        self, query: str, variables: Mapping[str, object] | None = None, **more: object
    ) -> httpx.Response:
        body = {"query": query, "variables": variables or {}, **more}
        return self.http.post(self.sandbox.graphql_url, json=body)

    def usage(self, *uuids: str, period: str = "current_month") -> httpx.Response:
        """Ask for the usage of organizations, at the aliases a0, a1, …"""
        return self.post(usage_query(*uuids, period=period))

    def stats(self, uuid: str, period: str = "current_month") -> Any:  # noqa: ANN401 it is what JSON holds
        """Return the answer of one organization, read as JSON."""
        return self.usage(uuid, period=period).json()["data"]["a0"]


def usage_query(*uuids: str, period: str = "current_month") -> str:
    fields = (
        f'a{number}: integrationsUsageStats(organizationUuid: "{uuid}", period: {period}) {{ {FIELDS} }}'
        for number, uuid in enumerate(uuids)
    )
    return f"query Usage {{ {' '.join(fields)} }}"

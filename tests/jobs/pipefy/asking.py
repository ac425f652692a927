"""Asking the stand-in as the program does: with one account's client, and little patience."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import SecretStr

from jobs.credentials import ClientCredentials, Credentials
from jobs.errors import OrganizationError
from jobs.periods import Period
from jobs.pipefy.client import PipefyClient, UsageAnswer
from jobs.pipefy.connection import open_client
from jobs.pipefy.endpoint import Patience, Traffic
from jobs.pipefy.models import UsageStats
from jobs.pipefy.queries import UsageQuestion
from jobs.sandbox import Sandbox
from jobs.settings import AccountSettings, PipefySettings

T = TypeVar("T")

HASTE = Patience(attempts=2, pause_seconds=0.01, rate_limit_pause_seconds=0.05, answer_seconds=5.0)


@dataclass
class Asking:
    """How the stand-in is asked.

    Attributes:
        sandbox: Whom.
        patience: How long and how often.
        credentials: Those of the stand-in's default account, unless there are others.
        account: More keys of the account.
        pipefy: More keys of the section ``[pipefy]``.
        traffic: What went over the network.
    """

    sandbox: Sandbox
    patience: Patience = HASTE
    credentials: Credentials | None = None
    account: dict[str, Any] = field(default_factory=dict)
    pipefy: dict[str, Any] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)

    def with_patience(self, **changes: float) -> "Asking":
        self.patience = replace(self.patience, **changes)  # type: ignore[arg-type] # mypy knows no names
        return self

    @property
    def pipefy_settings(self) -> PipefySettings:
        urls = {"graphql_url": self.sandbox.graphql_url, "token_url": self.sandbox.token_url}
        return PipefySettings(**{**urls, **self.pipefy})

    def run(self, work: Callable[[PipefyClient], Awaitable[T]]) -> T:
        """Works with one client."""

        async def with_client() -> T:
            async with open_client(
                AccountSettings(**{"name": "main", "organizations": "all", **self.account}),
                self.credentials or client_credentials(self.sandbox),
                pipefy=self.pipefy_settings,
                patience=self.patience,
                traffic=self.traffic,
            ) as client:
                return await work(client)

        return asyncio.run(with_client())

    def usage(self, questions: Sequence[UsageQuestion]) -> list[UsageAnswer]:
        """Asks all in one request."""
        return self.run(lambda client: client.fetch_usage(questions))

    def failures(self, questions: Sequence[UsageQuestion]) -> dict[UsageQuestion, OrganizationError]:
        """Asks all in one request, and returns those that failed."""
        return {
            answer.question: answer.result
            for answer in self.usage(questions)
            if isinstance(answer.result, OrganizationError)
        }

    def failure(self, question: UsageQuestion) -> OrganizationError:
        """Asks for what fails."""
        return self.failures([question])[question]

    def stats(self, question: UsageQuestion) -> UsageStats:
        """Asks for what does not fail."""
        return stats_of(self.usage([question])[0])


def stats_of(answer: UsageAnswer) -> UsageStats:
    assert isinstance(answer.result, UsageStats), answer.result
    return answer.result


def client_credentials(sandbox: Sandbox) -> ClientCredentials:
    return ClientCredentials(sandbox.client_id, SecretStr(sandbox.client_secret))


def questions_for(
    sandbox: Sandbox, *periods: Period, organizations: int | None = None
) -> list[UsageQuestion]:
    """Questions for the first organizations and the periods, by default all of both."""
    return [
        UsageQuestion(organization.uuid, period)
        for organization in sandbox.organizations[:organizations]
        for period in periods or tuple(Period)
    ]


def question_for(sandbox: Sandbox, period: Period = Period.CURRENT_MONTH) -> UsageQuestion:
    """A question for the first organization."""
    return UsageQuestion(sandbox.organizations[0].uuid, period)

"""What the sandbox received, and what it answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Literal, TypeAlias

Endpoint: TypeAlias = Literal["graphql", "token"]

# Pipefy's documentation: 2xx, 3xx, 404, 408 and 422 count against the customer's plan.
BILLED_BEYOND_REDIRECTS = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.UNPROCESSABLE_ENTITY}
)


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """One request to the GraphQL or the token endpoint.

    Attributes:
        received_at: The real instant, aware UTC, whatever date the sandbox believes in.
        endpoint: Which of the two.
        path: As it was asked for.
        headers: By lower-case name; of `authorization` only the scheme and whose it is.
        token: The identity of the bearer token, "unknown", or None when there was none.
        account: The client id it was authenticated or, at the token endpoint, named with.
        operation_name: Of the GraphQL operation.
        aliases: The number of root fields.
        complexity: As Pipefy would reckon it.
        status: The HTTP status of the answer, wherever its bytes got lost, or None while there is none.
    """

    received_at: datetime
    endpoint: Endpoint
    path: str
    headers: Mapping[str, str]
    token: str | None = None
    account: str | None = None
    operation_name: str | None = None
    aliases: int = 0
    complexity: int = 0
    status: int | None = None

    @property
    def is_billed(self) -> bool:
        """Whether Pipefy would count it against the customer's plan: answered GraphQL requests do."""
        if self.endpoint != "graphql" or self.status is None:
            return False
        return HTTPStatus.OK <= self.status < HTTPStatus.BAD_REQUEST or self.status in BILLED_BEYOND_REDIRECTS


class RequestLog:
    """The requests in the order in which they came."""

    def __init__(self) -> None:
        self._requests: list[ReceivedRequest] = []

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All of them so far."""
        return tuple(self._requests)

    def received(self, request: ReceivedRequest) -> Callable[[int], None]:
        """Write a request down; what is returned completes it with the status that is answered."""
        requests = self._requests
        place = len(requests)
        requests.append(request)

        def answered(status: int) -> None:
            requests[place] = replace(requests[place], status=status)

        return answered

    def forget(self) -> None:
        """Start anew; requests under way complete in the old list, which nobody reads."""
        self._requests = []

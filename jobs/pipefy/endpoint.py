"""One account's way to the GraphQL endpoint: sends a query until there is an answer, or none is to be had."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import stamina
from pydantic_core import from_json

from jobs.errors import CredentialsError
from jobs.pipefy.auth import PipefyAuth
from jobs.pipefy.failures import (
    ApiError,
    PassingError,
    RateLimitedError,
    RefusedTokenError,
    RequestFailedError,
    SignInPageError,
    TooHeavyError,
    parse_errors,
)
from jobs.pipefy.http_dates import parse_http_date, retry_after_seconds
from jobs.pipefy.queries import Query
from jobs.pipefy.transport import AnswerTooLargeError

# Pipefy counts 2xx, 3xx and these against the plan. Source: Pipefy's documentation of API usage.
_BILLED_FAILURES = {404, 408, 422}
_TOO_SLOW = {408, 504}
_TOO_LARGE = 413


@dataclass(frozen=True)
class Patience:
    """How long and how often an account's requests are tried.

    Attributes:
        attempts: Attempts for one request, the first included.
        answer_seconds: The longest that one answer may take, from sending to its last byte.
        deadline: When the run ends, on the clock of ``time.monotonic``.
        pause_seconds: Before the second attempt; doubled before each further one, plus up to as much again,
            at most a second.
        longest_pause_seconds: Where the doubling ends.
        rate_limit_pause_seconds: After a 429 that does not say how long. Exceeding 500 requests in 30 s can
            lock an account out for 5 minutes, by third parties' reports.
    """

    attempts: int = 6
    answer_seconds: float = 40.0
    deadline: float = float("inf")
    pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0
    rate_limit_pause_seconds: float = 60.0

    def left_seconds(self) -> float:
        """How much of the run is left."""
        return self.deadline - time.monotonic()


@dataclass
class Traffic:
    """What went over the network.

    Attributes:
        sent: GraphQL requests that were sent.
        billed: Those of them that Pipefy counts against the plan.
        tokens: Requests for a token.
        retries: GraphQL requests that are sent again, by the code of what was wrong.
        clock_skew_seconds: How far Pipefy's clock was ahead of this machine's at the last answer.
    """

    sent: int = 0
    billed: int = 0
    tokens: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    clock_skew_seconds: float | None = None

    def hooks(self, url: str) -> dict[str, list[Callable[..., Awaitable[None]]]]:
        """Hooks for an httpx client, which count what goes to an address and comes back."""

        async def count_request(request: httpx.Request) -> None:
            is_query = request.url == url
            self.sent += is_query
            self.tokens += not is_query

        async def count_response(response: httpx.Response) -> None:
            if response.request.url == url:
                self._count(response)

        return {"request": [count_request], "response": [count_response]}

    def _count(self, response: httpx.Response) -> None:
        if response.status_code < httpx.codes.BAD_REQUEST or response.status_code in _BILLED_FAILURES:
            self.billed += 1
        if (server_time := parse_http_date(response.headers.get("Date", ""))) is not None:
            self.clock_skew_seconds = server_time.timestamp() - time.time()


@dataclass(frozen=True)
class GraphQLAnswer:
    """What came back: the data of each alias, and the errors."""

    data: dict[str, Any]
    errors: Sequence[ApiError]


@dataclass
class GraphQLEndpoint:
    """Where one account's queries go.

    Attributes:
        http: The connections; never follows a redirect.
        url: Where queries are sent.
        auth: The account's authorization.
        account: The account's name, for messages.
        patience: How long and how often.
        connections: Requests under way at once.
        traffic: Counts what is sent again.
    """

    http: httpx.AsyncClient
    url: str
    auth: PipefyAuth
    account: str
    patience: Patience
    connections: int = 4
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.connections)
        self._resume_at = 0.0
        self._jitter_seconds = min(1.0, self.patience.pause_seconds)

    async def ask(self, query: Query) -> GraphQLAnswer:
        """Sends a query, again where that may help, and returns its answer.

        Raises:
            CredentialsError: The account's credentials are not accepted, also after a new token.
            TooHeavyError: It asks for too much at once.
            RequestFailedError: No answer is to be had.
        """
        retrying = stamina.AsyncRetryingCaller(
            attempts=self.patience.attempts,
            timeout=None,
            wait_initial=self.patience.pause_seconds,
            wait_max=self.patience.longest_pause_seconds,
            wait_jitter=self._jitter_seconds,
        )

        may_renew = self.auth.can_renew
        failed: PassingError | None = None

        async def send_query() -> GraphQLAnswer:
            nonlocal may_renew, failed
            if failed is not None:
                self.traffic.retries[failed.code] += 1
            try:
                return await self._send(query)
            except (SignInPageError, RefusedTokenError) as exc:
                failed = exc if isinstance(exc, PassingError) else None
                if not may_renew:
                    raise
                # A 401 has had its new token already; these are refusals in other words, once a query.
                may_renew = False
                self.auth.discard()
            except PassingError as exc:
                failed = exc
                raise
            return await self._send(query)

        try:
            async with asyncio.timeout(max(0.0, min(self.patience.left_seconds(), 1e9))):
                return await retrying(self._pause, send_query)
        except TimeoutError:
            raise RequestFailedError(
                "the run's time was up before Pipefy answered; see export.deadline_seconds", code="DEADLINE"
            ) from None

    def _pause(self, error: Exception) -> bool | float:
        """Whether to try again after an error, and in how many seconds if that is not ours to choose."""
        if not isinstance(error, PassingError):
            return False
        asked_seconds = error.retry_after_seconds
        if asked_seconds is None:
            if not isinstance(error, RateLimitedError):
                return True
            asked_seconds = self.patience.rate_limit_pause_seconds
        if isinstance(error, RateLimitedError):
            self._resume_at = max(self._resume_at, time.monotonic() + asked_seconds)
        # Those who wait for the same instant should not all come at it.
        pause = asked_seconds + random.uniform(0.0, self._jitter_seconds)  # noqa: S311 # no secret
        return pause if pause < self.patience.left_seconds() else False

    async def _send(self, query: Query) -> GraphQLAnswer:
        async with self._turns:
            # A rate limit holds for the account, not only for the request that met it.
            pause_seconds = max(0.0, self._resume_at - time.monotonic())
            if pause_seconds > self.patience.left_seconds() > 0:
                raise RequestFailedError(
                    f"too many requests: Pipefy asks for a pause of {pause_seconds:.0f} s, "
                    "and the run ends before; see export.deadline_seconds",
                    code="HTTP_429",
                )
            await asyncio.sleep(pause_seconds)
            response = await self._post(query)
        _require_success(response, self.account)
        return _parse_answer(response, self.account)

    async def _post(self, query: Query) -> httpx.Response:
        try:
            async with asyncio.timeout(self.patience.answer_seconds):
                return await self.http.post(self.url, json=query.body(), auth=self.auth)
        except (TimeoutError, AnswerTooLargeError) as exc:
            raise self._endless(exc) from exc
        except httpx.RequestError as exc:
            reason = str(exc) or type(exc).__name__
            raise PassingError(f"no answer from {exc.request.url}: {reason}", code="UNREACHABLE") from exc

    def _endless(self, error: Exception) -> RequestFailedError:
        if not self.auth.has_token:
            # No shorter query would mend that.
            return PassingError(
                "asking for a token came to no end; if it goes on, check token_url", code="NO_TOKEN"
            )
        if isinstance(error, AnswerTooLargeError):
            return TooHeavyError("the answer is larger than agreed", code="ANSWER_TOO_LARGE")
        return TooHeavyError(f"no answer within {self.patience.answer_seconds:g} s", code="TIMEOUT")


def _require_success(response: httpx.Response, account: str) -> None:
    """Raises what the status means, unless it is a success or carries GraphQL errors of its own."""
    status = response.status_code
    said = f"Pipefy answered {status} {response.reason_phrase}".rstrip()
    code = f"HTTP_{status}"
    if response.is_redirect:
        raise RefusedTokenError(
            f"account {account!r}: {said}, a redirect to a sign-in page or another address; "
            "check pipefy.graphql_url, and the credentials"
        )
    if status == httpx.codes.UNAUTHORIZED:
        raise CredentialsError(
            f"account {account!r}: {said}: the token is not accepted; "
            "check the credentials and token_url, or make a new token"
        )
    if status in _TOO_SLOW:
        raise TooHeavyError(said, code="TIMEOUT")
    if status == _TOO_LARGE:
        raise TooHeavyError(said, code=code)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimitedError(
            f"{said}: too many requests", code=code, retry_after_seconds=retry_after_seconds(response.headers)
        )
    if response.is_server_error:
        raise PassingError(said, code=code, retry_after_seconds=retry_after_seconds(response.headers))
    if response.is_error:
        raise _refused(response, said, code)


def _refused(response: httpx.Response, said: str, code: str) -> RequestFailedError:
    errors = parse_errors(_json_object(response) or {})
    first = errors[0] if errors else ApiError("it gave no reason; check pipefy.graphql_url")
    if first.is_too_heavy:
        return TooHeavyError(first.message, code="TOO_COMPLEX")
    return RequestFailedError(
        f"{said}: {first.message}", code=first.code or code, correlation_id=first.correlation_id
    )


def _parse_answer(response: httpx.Response, account: str) -> GraphQLAnswer:
    body = _json_object(response)
    if body is None:
        if "html" in response.headers.get("Content-Type", "") or response.content.lstrip()[:1] == b"<":
            raise SignInPageError(
                "Pipefy answered with a web page, a sign-in or a maintenance page; "
                f"check pipefy.graphql_url and the credentials of account {account!r}",
                code="WEB_PAGE",
            )
        raise PassingError("Pipefy's answer is no JSON object", code="NO_JSON")
    errors = parse_errors(body)
    data = body.get("data")
    if not isinstance(data, dict):
        if not errors:
            raise PassingError("Pipefy's answer has neither data nor errors", code="NO_DATA")
        _require_no_general_error(errors, account)
        data = {}
    elif all(value is None for value in data.values()):
        # What is said of no field in particular holds for all of them.
        _require_no_general_error([error for error in errors if error.alias is None], account)
    return GraphQLAnswer(data, errors)


def _require_no_general_error(errors: Sequence[ApiError], account: str) -> None:
    """Raises if an answer without data says that nothing of it could be answered."""
    for error in errors:
        if error.is_unauthorized:
            raise RefusedTokenError(
                f"account {account!r}: Pipefy says: {error.message}; check the credentials and token_url"
            )
        if error.is_too_heavy:
            raise TooHeavyError(error.message, code="TOO_COMPLEX")
        if error.is_about_all:
            refused = error.for_organization()
            raise RequestFailedError(str(refused), code=refused.code, correlation_id=refused.correlation_id)
        if error.is_passing and error.alias is None:
            raise PassingError(
                f"Pipefy says: {error.message}",
                code=error.code or "TIMEOUT",
                correlation_id=error.correlation_id,
            )


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        # Bytes that are no UTF-8, or NaN, spoil the one value that holds them, not the answers beside it.
        body = from_json(response.content.decode("utf-8", errors="replace"), allow_inf_nan=True)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None

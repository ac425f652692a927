"""`POST /graphql`: who asks, how often, and what."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from jobs.sandbox.accounts import Account
from jobs.sandbox.clock import utc_now
from jobs.sandbox.engine import Answer, Engine, Prepared, Question
from jobs.sandbox.limits import RateLimit
from jobs.sandbox.reception import Reception
from jobs.sandbox.record import ReceivedRequest
from jobs.sandbox.tokens import Token, TokenOffice
from jobs.sandbox.wire import bearer_of, json_response, read_question
from jobs.sandbox.world import World

NO_QUESTION = Prepared(errors=({"message": "No query string was present"},), status=HTTPStatus.BAD_REQUEST)

UNAUTHORIZED = {
    "errors": [
        {"title": "Unauthorized", "detail": "The access token is missing, unknown, expired or revoked."}
    ]
}


class GraphqlEndpoint:
    """Answers GraphQL requests of those who bring a token.

    Args:
        world: What is true.
        tokens: Where tokens are known.
        reception: The way of every request.
        monotonic: The clock of the rate limit, in seconds.
    """

    def __init__(
        self, world: World, tokens: TokenOffice, reception: Reception, monotonic: Callable[[], float]
    ) -> None:
        self._world = world
        self._tokens = tokens
        self._reception = reception
        self._engine = Engine(world)
        self._rate = RateLimit(monotonic)

    async def respond(self, request: Request) -> Response:
        """Answer a GraphQL request."""
        question = read_question(await request.body())
        prepared = self._engine.prepare(question.query, question.operation_name) if question else NO_QUESTION
        bearer = bearer_of(request.headers.get("authorization", ""))
        token = self._tokens.find(bearer)

        async def ordinary() -> Response:
            return await self._ordinary(request, token, question, prepared)

        received = self._received(request, bearer, token, prepared)
        return await self._reception.respond(received, ordinary)

    async def _ordinary(
        self, request: Request, token: Token | None, question: Question | None, prepared: Prepared
    ) -> Response:
        if token is None:
            return json_response(UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, request.headers)
        if not self._rate.admits(token.account.client_id, self._world.limits):
            return PlainTextResponse("Retry later\n", HTTPStatus.TOO_MANY_REQUESTS)
        answer = self._answer(question, prepared, token.account)
        await self._take_time(len(answer.asked))
        self._reception.plan.spoil(answer)
        return json_response(answer.payload, answer.status, request.headers)

    def _answer(self, question: Question | None, prepared: Prepared, account: Account) -> Answer:
        if question is None:
            return Answer(list(prepared.errors), status=prepared.status)
        return self._engine.answer(question, prepared, account)

    async def _take_time(self, aliases: int) -> None:
        working = min(aliases * self._world.seconds_per_alias, self._world.limits.query_seconds)
        seconds = self._world.latency_seconds + working
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _received(
        self, request: Request, bearer: str, token: Token | None, prepared: Prepared
    ) -> ReceivedRequest:
        identity = self._tokens.identity(bearer) if bearer else None
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = f"Bearer {identity}" if identity else "unknown"
        return ReceivedRequest(
            received_at=utc_now(),
            endpoint="graphql",
            path=request.url.path,
            headers=headers,
            token=identity,
            account=token.account.client_id if token else None,
            operation_name=prepared.operation_name,
            aliases=prepared.aliases,
            complexity=prepared.size.complexity,
        )

"""`POST /oauth/token`: the client credentials grant in the encodings that clients use."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from jobs.sandbox.accounts import Account
from jobs.sandbox.clock import utc_now
from jobs.sandbox.reception import Reception
from jobs.sandbox.record import ReceivedRequest
from jobs.sandbox.tokens import TokenOffice
from jobs.sandbox.wire import basic_of, json_object, json_response
from jobs.sandbox.world import World


@dataclass(frozen=True)
class TokenRequest:
    """What a client asks the token endpoint for."""

    grant_type: str
    client_id: str
    client_secret: str


class TokenEndpoint:
    """Gives tokens to accounts.

    Args:
        world: Whose accounts, and how long their tokens live.
        tokens: Where tokens come from.
        reception: The way of every request.
    """

    def __init__(self, world: World, tokens: TokenOffice, reception: Reception) -> None:
        self._world = world
        self._tokens = tokens
        self._reception = reception

    async def respond(self, request: Request) -> Response:
        """Answer a request for a token."""
        asked = read_token_request(await request.body(), request.headers)
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = f"Basic {asked.client_id}"

        async def ordinary() -> Response:
            status, payload = self._grant(asked)
            return json_response(payload, status, request.headers)

        received = ReceivedRequest(
            received_at=utc_now(),
            endpoint="token",
            path=request.url.path,
            headers=headers,
            account=asked.client_id or None,
        )
        return await self._reception.respond(received, ordinary)

    def _grant(self, asked: TokenRequest) -> tuple[HTTPStatus, dict[str, object]]:
        if asked.grant_type != "client_credentials":
            return HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"}
        account = self._world.accounts.get(asked.client_id)
        if account is None or not is_secret_of(account, asked.client_secret):
            return HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        life_seconds = self._world.token_seconds
        token = self._tokens.issue(account, life_seconds)
        return HTTPStatus.OK, {
            "access_token": token.text,
            "token_type": "Bearer",
            "expires_in": int(life_seconds),
            "created_at": int(time.time()),
        }


def is_secret_of(account: Account, client_secret: str) -> bool:
    """Whether a secret is the account's."""
    return secrets.compare_digest(client_secret.encode(), account.client_secret.encode())


def read_token_request(body: bytes, headers: Mapping[str, str]) -> TokenRequest:
    """Read a token request: a JSON body, a form, or a form beside HTTP Basic; what lacks is empty."""
    is_json = "json" in headers.get("content-type", "")
    fields = json_object(body) if is_json else dict(parse_qsl(body.decode(errors="replace")))
    basic = basic_of(headers.get("authorization", ""))
    client_id, client_secret = basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
    return TokenRequest(str(fields.get("grant_type", "")), str(client_id), str(client_secret))

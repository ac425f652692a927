"""How requests are authorized: a service account's tokens, or one ready token."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.credentials import BearerToken, ClientCredentials
from jobs.errors import CredentialsError
from jobs.pipefy.failures import PassingError
from jobs.pipefy.http_dates import retry_after_seconds

TokenRequest = Literal["form", "json", "basic"]

# Renewed this long before its end, or a tenth of its life if that is less: lives start at 5 minutes.
_MARGIN_SECONDS = 60.0
_MARGIN_SHARE = 0.1

_SHARED_HEADERS = ("User-Agent", "Accept")

# What fits into a header. Checked before it is sent: the network's own complaint would show the token.
_TOKEN = r"[\x21-\x7e]+"  # noqa: S105 # a pattern, no secret


class ReadyTokenAuth(httpx.Auth):
    """Sends a token that somebody else made; there is no other to ask for.

    Raises:
        CredentialsError: From a request: it is no token.
    """

    can_renew = False
    has_token = True

    def __init__(self, token: BearerToken, *, account: str) -> None:
        self._token = token.token
        self._account = account

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Adds the token."""
        token = self._token.get_secret_value()
        if not re.fullmatch(_TOKEN, token):
            raise CredentialsError(
                f"account {self._account!r}: the token holds spaces, line breaks or other characters that no "
                "token has; check token_env or token_file"
            )
        request.headers["Authorization"] = f"Bearer {token}"
        yield request

    def discard(self) -> None:
        """Does nothing: the token is the only one."""


class ServiceAccountAuth(httpx.Auth):
    """OAuth 2 client credentials: asks for a token, renews it before it ends, and once more after a 401.

    Requests that come while a token is being asked for wait for it, so an account asks once. A client that
    was refused is not sent again.

    Raises:
        CredentialsError: From a request: the client id or secret is not accepted.
        PassingError: From a request: the token could not be had just now.
    """

    can_renew = True

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        account: str,
        token_url: str,
        token_request: TokenRequest = "form",  # noqa: S107 # no secret
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._account = account
        self._token_url = token_url
        self._token_request = token_request
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0
        self._refusal: str | None = None

    @property
    def has_token(self) -> bool:
        """Whether there is a token; a request that finds none asks for one first."""
        return bool(self._token)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sends the request with a token that is still good."""
        for attempt in ("first", "renewed"):
            async with self._lock:
                if self._clock() >= self._renew_at:
                    self.discard()
                if self._refusal:
                    raise CredentialsError(self._refusal)
                if not self._token:
                    answer = yield self._build_token_request(request)
                    await answer.aread()  # the transport bounds its size
                    self._accept(answer)
                token = self._token
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED or attempt == "renewed":
                return
            self._discard(token)

    def discard(self) -> None:
        """Has the next request ask for a new token."""
        self._token = ""

    def _discard(self, token: str) -> None:
        # Another request may have renewed it meanwhile.
        if self._token == token:
            self.discard()

    def _build_token_request(self, request: httpx.Request) -> httpx.Request:
        """The request for a token that another one needs, with the timeouts and the sender of that one."""
        headers = {name: request.headers[name] for name in _SHARED_HEADERS}
        ask = partial(httpx.Request, "POST", self._token_url, headers=headers, extensions=request.extensions)
        client_id = self._credentials.client_id
        client_secret = self._credentials.client_secret.get_secret_value()
        grant = {"grant_type": "client_credentials"}
        both = {**grant, "client_id": client_id, "client_secret": client_secret}
        match self._token_request:
            case "json":
                return ask(json=both)
            case "form":
                return ask(data=both)
            case "basic":
                return next(httpx.BasicAuth(client_id, client_secret).auth_flow(ask(data=grant)))

    def _accept(self, response: httpx.Response) -> None:
        """Keeps the token of an answer."""
        asked = f"account {self._account!r}: {self._token_url} answered {response.status_code}"
        if response.is_redirect:
            raise self._refused(f"{asked}, a redirect; check token_url")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise PassingError(
                f"{asked} when asked for a token",
                code=f"HTTP_{response.status_code}",
                retry_after_seconds=retry_after_seconds(response.headers),
            )
        if response.is_error:
            raise self._refused(
                f"{asked}: the client id or secret is not accepted; "
                "check both, and that the service account still exists"
            )
        try:
            answer = _TokenAnswer.model_validate_json(response.content)
        except ValidationError as exc:
            reason = exc.errors(include_url=False, include_input=False)[0]["msg"]
            raise PassingError(
                f"{asked}, but with no token ({reason}); check token_url", code="NO_TOKEN"
            ) from None
        self._token = answer.access_token
        margin = min(_MARGIN_SECONDS, _MARGIN_SHARE * answer.expires_in)
        self._renew_at = self._clock() + answer.expires_in - margin

    def _refused(self, reason: str) -> CredentialsError:
        self._refusal = reason
        return CredentialsError(reason)


class _TokenAnswer(BaseModel):
    model_config = ConfigDict(strict=True)

    access_token: str = Field(min_length=1, pattern=f"^{_TOKEN}$")
    expires_in: float = Field(gt=0)


PipefyAuth = ServiceAccountAuth | ReadyTokenAuth

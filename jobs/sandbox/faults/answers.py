"""Whole responses in place of the ordinary one."""

import json
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Literal, TypeAlias

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from jobs.sandbox.clock import utc_now
from jobs.sandbox.faults.fault import Ordinary, WireFault
from jobs.sandbox.pages import SIGN_IN_PAGE, SIGN_IN_PATH, error_page

BodyKind: TypeAlias = Literal["json", "html", "empty"]


@dataclass(frozen=True)
class RawAnswer(WireFault):
    """Any bytes.

    Attributes:
        body: What is sent.
        status: With which HTTP status.
        content_type: What the bytes claim to be, rightly or not.
    """

    body: bytes
    status: int = HTTPStatus.OK
    content_type: str = "application/json; charset=utf-8"

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send the bytes."""
        return Response(self.body, self.status, {"Content-Type": self.content_type})


@dataclass(frozen=True)
class JsonAnswer(WireFault):
    """Any JSON value, such as what a token endpoint should never say.

    Attributes:
        value: What `json.dumps` can write.
        status: With which HTTP status.
    """

    value: object
    status: int = HTTPStatus.OK

    async def respond(self, ordinary: Ordinary) -> Response:
        """Send the value."""
        return await RawAnswer(json.dumps(self.value).encode(), self.status).respond(ordinary)


@dataclass(frozen=True)
class StatusAnswer(WireFault):
    """An HTTP status with the usual kinds of bodies.

    Attributes:
        status: Such as 400, 404, 500, 502, 503, 504.
        body: A JSON object of no known form, a proxy's error page, or nothing.
    """

    status: int
    body: BodyKind = "html"

    async def respond(self, ordinary: Ordinary) -> Response:
        """Send the status."""
        if self.body == "json":
            phrase = HTTPStatus(self.status).phrase
            return await JsonAnswer({"status": self.status, "error": phrase}, self.status).respond(ordinary)
        return HTMLResponse(error_page(self.status) if self.body == "html" else b"", self.status)


@dataclass(frozen=True)
class TooManyRequests(WireFault):
    """HTTP 429, with or without `Retry-After`.

    Attributes:
        retry_after_seconds: What `Retry-After` says; None leaves the header out.
        as_http_date: Whether it says so as the date when that time is over.
    """

    retry_after_seconds: float | None = None
    as_http_date: bool = False

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send the refusal."""
        return PlainTextResponse("Retry later\n", HTTPStatus.TOO_MANY_REQUESTS, self._headers())

    def _headers(self) -> dict[str, str]:
        if self.retry_after_seconds is None:
            return {}
        if self.as_http_date:
            retry_at = utc_now() + timedelta(seconds=self.retry_after_seconds)
            return {"Retry-After": format_datetime(retry_at, usegmt=True)}
        return {"Retry-After": f"{self.retry_after_seconds:g}"}


@dataclass(frozen=True)
class Unauthorized(WireFault):
    """The refusal of a bearer token, good as it may be.

    Attributes:
        status: 401, or a 2xx that says it in its body only.
    """

    status: int = HTTPStatus.UNAUTHORIZED

    async def respond(self, ordinary: Ordinary) -> Response:
        """Send the documented body, whose item has no `message`."""
        refusal = {"errors": [{"title": "Unauthorized", "detail": "The access token was revoked."}]}
        return await JsonAnswer(refusal, self.status).respond(ordinary)


@dataclass(frozen=True)
class SignInPage(WireFault):
    """The sign-in page, where JSON should be.

    Attributes:
        status: 200, or 401 as the edge has it.
    """

    status: int = HTTPStatus.OK

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send the page."""
        return HTMLResponse(SIGN_IN_PAGE, self.status)


@dataclass(frozen=True)
class RedirectToSignIn(WireFault):
    """A redirect to the sign-in page, which is there to be found.

    Attributes:
        status: Of the redirect.
    """

    status: int = HTTPStatus.FOUND

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send the redirect."""
        return Response(status_code=self.status, headers={"Location": SIGN_IN_PATH})

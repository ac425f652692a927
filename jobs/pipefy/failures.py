"""How Pipefy says no, and what to do next.

RequestFailedError           a whole request came to nothing: all that it asked for has failed
├── PassingError             worth asking again after a pause
│   ├── RateLimitedError     too many requests: the account pauses
│   └── SignInPageError      a web page instead of JSON: a new token may help
└── TooHeavyError            too complex, too slow or too large: ask for less at once

CredentialsError (jobs.errors)
└── RefusedTokenError        refused in other words than 401: a new token may help
"""

import re
from dataclasses import dataclass

from jobs.errors import CredentialsError, OrganizationError, UsageExportError

# A message is for people; what is longer than this is not read.
_LONGEST_MESSAGE = 500

# Databases refuse some of these, and terminals obey some.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_ASCII_TEXT = re.compile(r"[^\x20-\x7e]")

# Codes for "this organization is not yours to read"; Pipefy answers so for what does not exist, too.
_HIDDEN_CODES = {
    "PERMISSION_DENIED",
    "FORBIDDEN",
    "INVALID_ROLE",
    "RESOURCE_NOT_FOUND",
    "RECORD_NOT_FOUND",
    "NOT_FOUND",
}
_ADVICE = {
    **dict.fromkeys(
        _HIDDEN_CODES,
        "the organization does not exist, or the account is no Admin or Super Admin of it: "
        "check its number or UUID, and the service account's role",
    ),
    "FEATURE_NOT_ENABLED": "integrations are not enabled there: ask Pipefy, or remove the organization",
    "FEATURE_NOT_ALLOWED_BY_ORGANIZATION_PLAN": "its plan has no integrations: ask Pipefy, or remove it",
    "USAGE_LIMIT_EXCEEDED": "the plan's API calls are used up: wait for the next month, or raise the plan",
}


class RequestFailedError(UsageExportError):
    """A whole request came to nothing.

    Attributes:
        code: Our name for it, or Pipefy's.
        correlation_id: What Pipefy's support asks for, where the answer had one.
    """

    def __init__(self, message: str, *, code: str, correlation_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.correlation_id = correlation_id

    def for_organization(self) -> OrganizationError:
        """The same failure, as that of one of the organizations that were asked for."""
        return OrganizationError(str(self), code=self.code, correlation_id=self.correlation_id)


class PassingError(RequestFailedError):
    """A failure that may be gone at the next attempt.

    Attributes:
        retry_after_seconds: How long the server asks to wait, where it does.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        correlation_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, correlation_id=correlation_id)
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(PassingError):
    """HTTP 429: this account has sent too many requests."""


class SignInPageError(PassingError):
    """A web page where JSON belongs: a sign-in or a maintenance page."""


class TooHeavyError(RequestFailedError):
    """The request is too complex, takes too long, or its answer is too large."""


class RefusedTokenError(CredentialsError):
    """A redirect to a sign-in page, or an ``UNAUTHORIZED`` error: perhaps only the token is worn out."""


@dataclass(frozen=True)
class ApiError:
    """One error of an answer.

    Attributes:
        message: What Pipefy says.
        code: Its code, where it has one.
        correlation_id: What Pipefy's support asks for.
        alias: The field of the request that failed, where it tells.
    """

    message: str
    code: str | None = None
    correlation_id: str | None = None
    alias: str | None = None

    @property
    def is_unauthorized(self) -> bool:
        """Whether it is about the token."""
        return self.code == "UNAUTHORIZED"

    @property
    def is_passing(self) -> bool:
        """Whether asking again may help."""
        return self.code == "INTERNAL_SERVER_ERROR" or self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the request's time was over before the field's turn came.

        It fails with ``Timeout on ...`` then, as graphql-ruby words it.
        """
        return self.message.startswith("Timeout on ")

    @property
    def is_too_heavy(self) -> bool:
        """Whether the request asked for too much at once."""
        return "complexity" in self.message.lower() and "max" in self.message.lower()

    @property
    def is_about_all(self) -> bool:
        """Whether every organization would be refused in the same way."""
        return self._is_unknown_field or self.code == "USAGE_LIMIT_EXCEEDED"

    @property
    def _is_unknown_field(self) -> bool:
        return "doesn't exist on type" in self.message

    @property
    def _own_code(self) -> str:
        """Our name for it, where Pipefy gives it none."""
        if self.is_late:
            return "TIMEOUT"
        return "RESOURCE_NOT_FOUND" if "Couldn't find" in self.message else "UNKNOWN"

    def for_organization(self) -> OrganizationError:
        """The error of the organization whose field failed, with what mends it."""
        code = self.code or self._own_code
        advice = _ADVICE.get(code)
        said = f"Pipefy says: {self.message}"
        if self._is_unknown_field:
            said += " (this host does not offer integrations usage; check pipefy.graphql_url)"
        message = f"{said} ({advice})" if advice else said
        return OrganizationError(message, code=code, correlation_id=self.correlation_id)


def parse_errors(body: dict[str, object]) -> list[ApiError]:
    """The errors of an answer, in every shape that Pipefy uses.

    Source: Pipefy's documentation and published toolkit, gathered as "error shapes to bear": a list under
    ``errors``, whose items may be no objects or lack ``message``; or one object under ``error``.
    """
    listed = body.get("errors")
    items = listed if isinstance(listed, list) else [listed] if listed else []
    if body.get("error"):
        items = [*items, body["error"]]
    return [_parse_error(item) for item in items]


def _parse_error(item: object) -> ApiError:
    if not isinstance(item, dict):
        return ApiError(_shorten(str(item)))
    title, detail = item.get("title"), item.get("detail")
    message = item.get("message") or ": ".join(str(part) for part in (title, detail) if part) or str(item)
    extensions = _first_object(item, "extensions", "details")
    code = extensions.get("code") or item.get("code") or ("UNAUTHORIZED" if title == "Unauthorized" else None)
    correlation_id = extensions.get("correlation_id") or item.get("correlation_id")
    path = item.get("path")
    return ApiError(
        message=_shorten(str(message)),
        code=_ascii(code)[:64] if code else None,
        correlation_id=_ascii(correlation_id)[:100] if correlation_id else None,
        alias=str(path[0]) if isinstance(path, list) and path else None,
    )


def _first_object(item: dict[object, object], *names: str) -> dict[object, object]:
    return next((found for name in names if isinstance(found := item.get(name), dict)), {})


def _ascii(value: object) -> str:
    return _NOT_ASCII_TEXT.sub("?", str(value))


def _shorten(message: str) -> str:
    line = _CONTROL_CHARACTERS.sub("\ufffd", " ".join(message.split()))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"

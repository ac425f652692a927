"""Errors that GraphQL itself knows: in some aliases, or in place of all."""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from uuid import uuid4

from jobs.sandbox.engine import Answer
from jobs.sandbox.faults.answers import JsonAnswer, StatusAnswer
from jobs.sandbox.faults.fault import AnswerFault, Fault
from jobs.sandbox.resolvers import Asked

INTERNAL_ERROR = "INTERNAL_SERVER_ERROR"
INTERNAL_MESSAGE = "Something went wrong"


def pipefy_error(message: str, code: str, alias: str | None = None) -> dict[str, object]:
    """Return an error item in Pipefy's form, located at an alias or nowhere."""
    item: dict[str, object] = {"message": message}
    if alias is not None:
        item |= {"locations": [{"line": 2, "column": 3}], "path": [alias]}
    return item | {"extensions": {"code": code, "correlation_id": str(uuid4())}}


@dataclass(frozen=True, kw_only=True)
class FailedAliases(AnswerFault):
    """An error at each of some root fields, whose data is null; the others keep theirs.

    A root field is one of them if it passes all the filters, and had an answer.

    Attributes:
        code: `extensions.code`.
        message: What went wrong.
        organizations: UUIDs, or None for any.
        periods: Names of periods, or None for any.
        aliases: Aliases of the query, or None for any.
    """

    code: str = INTERNAL_ERROR
    message: str = INTERNAL_MESSAGE
    organizations: Collection[str] | None = None
    periods: Collection[str] | None = None
    aliases: Collection[str] | None = None

    def concerns(self, answer: Answer) -> bool:
        """Whether any of the root fields was asked for."""
        return bool(self.matching(answer))

    def spoil(self, answer: Answer) -> None:
        """Put the errors in their places."""
        aliases = self.matching(answer)
        answer.errors.extend(pipefy_error(self.message, self.code, alias) for alias in aliases)
        answer.data = (answer.data or {}) | dict.fromkeys(aliases)

    def matching(self, answer: Answer) -> list[str]:
        """Return the aliases that pass the filters and have data."""
        answered = answer.data or {}
        return [
            alias
            for alias, asked in answer.asked.items()
            if answered.get(alias) is not None and self._is(alias, asked)
        ]

    def _is(self, alias: str, asked: Asked) -> bool:
        return (
            (self.organizations is None or asked.organization_uuid in self.organizations)
            and (self.periods is None or asked.period in self.periods)
            and (self.aliases is None or alias in self.aliases)
        )


@dataclass(frozen=True, kw_only=True)
class LostAnswer(FailedAliases):
    """One error, and the whole `data` is null: as though a root field that failed could not be null.

    It meets requests with a root field that passes the filters.

    Attributes:
        at_path: Whether the error says at which alias it was.
    """

    at_path: bool = False

    def spoil(self, answer: Answer) -> None:
        """Leave one error of the answer."""
        alias = self.matching(answer)[0] if self.at_path else None
        answer.errors = [pipefy_error(self.message, self.code, alias)]
        answer.data = None


@dataclass(frozen=True)
class ErrorItems(AnswerFault):
    """Any items in `errors`.

    Attributes:
        items: The items, of any JSON type.
        data: Whether the data is kept beside them, null, or absent.
    """

    items: tuple[object, ...]
    data: Literal["kept", "null", "absent"] = "absent"

    def concerns(self, answer: Answer) -> bool:
        """Whether the query was executed."""
        return answer.has_data

    def spoil(self, answer: Answer) -> None:
        """Put the items in their place."""
        answer.errors.extend(self.items)
        answer.has_data = self.data != "absent"
        if self.data != "kept":
            answer.data = None


def error_shapes() -> dict[str, Fault]:
    """Return a fault for every shape in which Pipefy's API is known to report errors.

    The names count as in this project's notes on the API: 1 an alias that failed · 2 errors without
    data · 3 errors beside data · 4 an organization that is unknown or denied · 5 the singular form
    · 6 odd items · 7 a host that does not offer the query · 8 complexity · 9 HTTP errors.
    """
    error = pipefy_error(INTERNAL_MESSAGE, INTERNAL_ERROR)
    singular = {
        "message": INTERNAL_MESSAGE,
        "details": {"code": INTERNAL_ERROR, "correlation_id": str(uuid4())},
    }
    not_found = "Couldn't find Organization with 'id'=0"
    http_errors: dict[str, Fault] = {
        f"9-{status}": StatusAnswer(status) for status in (429, 500, 502, 503, 504)
    }
    return {
        "1": FailedAliases(code="RESOURCE_NOT_FOUND", message="Resource not found"),
        "2-null": ErrorItems((error,), "null"),
        "2-absent": ErrorItems((error,)),
        "3": ErrorItems((error,), "kept"),
        "4-denied": FailedAliases(code="PERMISSION_DENIED", message="Permission denied"),
        "4-not-found": FailedAliases(code="RESOURCE_NOT_FOUND", message=not_found),
        "5": JsonAnswer({"error": singular}),
        "6-text": ErrorItems((INTERNAL_MESSAGE,)),
        "6-without-message": ErrorItems(({"extensions": {"code": INTERNAL_ERROR}},)),
        "7": ErrorItems(({"message": "Field 'integrationsUsageStats' doesn't exist on type 'Query'"},)),
        "8": ErrorItems(
            ({"message": "Query has complexity of 50080, which exceeds max complexity of 50000"},)
        ),
        "9-400": JsonAnswer({"errors": [{"message": "No query string was present"}]}, HTTPStatus.BAD_REQUEST),
        **http_errors,
    }

"""One account's view of Pipefy: many questions in few requests, each with its own answer or error."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import OrganizationError
from jobs.pipefy.endpoint import GraphQLEndpoint
from jobs.pipefy.failures import ApiError, RequestFailedError, TooHeavyError
from jobs.pipefy.models import KnownOrganization, UsageStats, parse_organization, parse_usage_stats
from jobs.pipefy.queries import (
    ORGANIZATIONS_OPERATION,
    USAGE_OPERATION,
    RootField,
    UsageQuestion,
    build_query,
    organization_field,
    readable_organizations_field,
    usage_field,
)

# How often a field is asked for that fails although its request does not.
_ROUNDS = 3

# What can be wrong with a whole answer because of one field in it, and stays so when asked again.
_PERHAPS_OF_ONE = {"NO_JSON", "INTERNAL_SERVER_ERROR"}
# So many refused requests without a single value show that every field is refused, not one among them.
_FRUITLESS = 15

FieldAnswer = Any | OrganizationError


@dataclass(frozen=True)
class UsageAnswer:
    """What came of a question.

    Attributes:
        question: The organization and period.
        result: The usage, or why there is none.
        duration_seconds: From asking to answer, retries and the request's other questions included.
    """

    question: UsageQuestion
    result: UsageStats | OrganizationError
    duration_seconds: float


@dataclass(frozen=True)
class OrganizationAnswers:
    """What came of asking for organizations.

    Attributes:
        by_id: For each number, the organization or why it is not known.
        readable: Every organization whose usage the account may read, each or all of them an error if that
            is not known; None if it was not asked for.
    """

    by_id: dict[str, KnownOrganization | OrganizationError]
    readable: Sequence[KnownOrganization | OrganizationError] | OrganizationError | None


class PipefyClient:
    """Asks Pipefy, with one account's credentials.

    Every method raises :class:`~jobs.errors.CredentialsError` if those are not accepted.
    """

    def __init__(self, endpoint: GraphQLEndpoint) -> None:
        self._endpoint = endpoint

    async def fetch_usage(self, questions: Sequence[UsageQuestion]) -> list[UsageAnswer]:
        """Asks all questions in one request, or in more where Pipefy finds that too much.

        Returns:
            An answer for each question, in their order.
        """
        started = time.monotonic()
        answers = await self._ask_each(USAGE_OPERATION, [usage_field(question) for question in questions])
        duration_seconds = time.monotonic() - started
        return [
            UsageAnswer(question, _usage_of(answer, question), duration_seconds)
            for question, answer in zip(questions, answers, strict=True)
        ]

    async def fetch_organizations(self, ids: Sequence[str], *, readable: bool) -> OrganizationAnswers:
        """Asks which organizations belong to the numbers and, if wanted, which the account may read."""
        fields = [organization_field(each) for each in ids]
        if readable:
            fields.append(readable_organizations_field())
        answers = await self._ask_each(ORGANIZATIONS_OPERATION, fields)
        if readable and ids and not any(map(_is_value, answers)):
            # A host that does not know the list refuses the numbers beside it, too.
            answers[:-1] = await self._ask_each(ORGANIZATIONS_OPERATION, fields[:-1])
        return OrganizationAnswers(
            by_id={each: _organization_of(answer) for each, answer in zip(ids, answers, strict=False)},
            readable=_organizations_of(answers[-1]) if readable else None,
        )

    async def _ask_each(self, operation: str, fields: Sequence[RootField]) -> list[FieldAnswer]:
        """The value of each field, or its error."""
        answers: dict[int, FieldAnswer] = {}
        waiting = [_Group(tuple(range(len(fields))))] if fields else []
        fruitless = 0
        while waiting:
            group = waiting.pop(0)
            if group.refusal and fruitless >= _FRUITLESS and not any(map(_is_value, answers.values())):
                # It is not about one of them: all are refused, and each further request is billed.
                answers.update(dict.fromkeys(group.indexes, group.refusal))
                continue
            if group.rounds:
                await asyncio.sleep(self._endpoint.patience.pause_seconds * group.rounds)
            waiting += await self._ask_group(operation, fields, group, answers)
            fruitless += not any(index in answers and _is_value(answers[index]) for index in group.indexes)
        return [answers[index] for index in range(len(fields))]

    async def _ask_group(
        self, operation: str, fields: Sequence[RootField], group: "_Group", answers: dict[int, FieldAnswer]
    ) -> list["_Group"]:
        """Asks for some of the fields, notes what is known of them, and returns what to ask for again."""
        query = build_query(operation, [fields[index] for index in group.indexes])
        try:
            answer = await self._endpoint.ask(query)
        except TooHeavyError as exc:
            if len(group.indexes) > 1:
                # What takes too long as a whole may do so because of one; not so what is too complex.
                return group.halves(exc.for_organization() if exc.code == "TIMEOUT" else None)
            if exc.code == "TIMEOUT" and group.rounds + 1 < _ROUNDS:
                return [group.again(group.indexes)]
            answers[group.indexes[0]] = exc.for_organization()
            return []
        except RequestFailedError as exc:
            if exc.code in _PERHAPS_OF_ONE and len(group.indexes) > 1:
                return group.halves(exc.for_organization())
            answers.update(dict.fromkeys(group.indexes, exc.for_organization()))
            return []
        by_alias = {error.alias: error for error in reversed(answer.errors) if error.alias}
        unexplained, passing = [], []
        for index, alias in zip(group.indexes, query.aliases, strict=True):
            error = by_alias.get(alias)
            if error is None and answer.data.get(alias) is not None:
                answers[index] = answer.data[alias]
            elif error is None or (error.is_late and len(group.indexes) > 1):
                unexplained.append(index)
            elif error.is_passing and group.rounds + 1 < _ROUNDS:
                passing.append(index)
            else:
                answers[index] = error.for_organization()
        again = [group.again(passing)] if passing else []
        return again + _ask_about_unexplained(group, unexplained, answer.errors, answers)


@dataclass(frozen=True)
class _Group:
    """Fields, by their index, that share a request; and how often they have failed in passing."""

    indexes: tuple[int, ...]
    rounds: int = 0
    # The error of the request that they are a half of, where it may be about one of its fields.
    refusal: OrganizationError | None = None

    def again(self, indexes: Sequence[int]) -> "_Group":
        """Some of its fields, which have failed in passing once more."""
        return _Group(tuple(indexes), self.rounds + 1)

    def halves(self, refusal: OrganizationError | None = None) -> list["_Group"]:
        """Its fields in two requests."""
        middle = len(self.indexes) // 2
        return [
            _Group(indexes, self.rounds, refusal)
            for indexes in (self.indexes[:middle], self.indexes[middle:])
        ]


def _ask_about_unexplained(
    group: _Group, unexplained: list[int], errors: Sequence[ApiError], answers: dict[int, FieldAnswer]
) -> list[_Group]:
    """What to ask for again of fields that have neither a value nor an error of their own, or came too late.

    One field's error can cost the whole answer its data. Whose it was shows when they are asked in halves.
    """
    if not unexplained:
        return []
    if len(unexplained) < len(group.indexes):
        return [_Group(tuple(unexplained), group.rounds)]
    error = next(iter(errors), ApiError("no value and no error came back", code="NO_DATA"))
    if len(unexplained) > 1:
        return group.halves(error.for_organization())
    answers[unexplained[0]] = error.for_organization()
    return []


def _is_value(answer: FieldAnswer) -> bool:
    return not isinstance(answer, OrganizationError)


def _usage_of(answer: FieldAnswer, question: UsageQuestion) -> UsageStats | OrganizationError:
    if isinstance(answer, OrganizationError):
        return answer
    try:
        return parse_usage_stats(answer, question)
    except OrganizationError as exc:
        return exc


def _organization_of(answer: FieldAnswer) -> KnownOrganization | OrganizationError:
    if isinstance(answer, OrganizationError):
        return answer
    try:
        return parse_organization(answer)
    except OrganizationError as exc:
        return exc


def _organizations_of(answer: FieldAnswer) -> list[KnownOrganization | OrganizationError] | OrganizationError:
    if isinstance(answer, OrganizationError):
        return answer
    if not isinstance(answer, list):
        return OrganizationError("myUsageStatsOrganizations is no list", code="INVALID_ANSWER")
    return [_organization_of(each) for each in answer]

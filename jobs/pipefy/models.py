"""Pipefy's answers, validated strictly: a value of another type is an error, never a guess."""

import contextlib
import re
import uuid
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from jobs.errors import OrganizationError
from jobs.pipefy.queries import UsageQuestion

_LARGEST = 2**63 - 1
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Dates outside are no usage of anything, and could not be compared with the day after them.
_PLAUSIBLE_YEARS = range(2000, 3000)
_LONGEST_NAME = 500


def _instant(value: object) -> object:
    """ISO 8601 with a zone, as in ``2026-06-01T00:00:00Z``."""
    if not isinstance(value, str):
        raise ValueError("is no instant")  # noqa: TRY004 # pydantic reports ValueError only
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("is an instant without a zone")
    if instant.year not in _PLAUSIBLE_YEARS:
        raise ValueError("is an implausible year")
    return instant


def _canonical_uuid(value: str) -> str:
    return str(uuid.UUID(value))


def _storable(value: str) -> str:
    # PostgreSQL refuses NUL, MariaDB what is longer than 64 kB, and a terminal obeys what it should show.
    return _CONTROL_CHARACTERS.sub("\ufffd", value)[:_LONGEST_NAME]


Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Instant = Annotated[datetime, BeforeValidator(_instant)]


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class TasksConsumed(_Answer):
    """Tasks in the period, and the allowance: null while none is mapped (not zero, not unlimited)."""

    usage: Count
    limit: Count | None


class FilterDate(_Answer):
    """The window that the answer covers; ``to`` may lie ahead of now."""

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant

    @property
    def first_day(self) -> date:
        """The first day of the window, on the clock that the answer is written in."""
        return self.from_.date()

    @property
    def last_day(self) -> date:
        """The last day of the window; where it ends at midnight, that is the day before."""
        return max(self.first_day, (self.to - timedelta(microseconds=1)).date())


class HistoryNode(_Answer):
    """One bucket. ``date`` is ``yyyy-MM-dd``, or ``yyyy-MM`` for ``last_3_months``."""

    date: str
    usage: Count
    limit: Count | None


class History(_Answer):
    """The buckets, in no particular order; buckets without runs may be absent."""

    nodes: list[HistoryNode]


class UsageStats(_Answer):
    """The answer of ``integrationsUsageStats`` for one organization and period.

    Source: Pipefy's documentation of the query.
    """

    tasks_consumed: TasksConsumed
    active_flows: Count
    filter_date: FilterDate
    history: History


class KnownOrganization(_Answer):
    """An organization as Pipefy names it."""

    uuid: Annotated[str, AfterValidator(_canonical_uuid)]
    name: Annotated[str, AfterValidator(_storable)] | None = None


def parse_usage_stats(value: object, question: UsageQuestion) -> UsageStats:
    """The answer to a question, checked as a whole.

    Beyond types: the window runs forward and, for a period of days, lies within one month; every label is a
    date of the period's grain within the window; no label comes twice.

    Raises:
        OrganizationError: ``INVALID_ANSWER``; the message names the field and what it held.
    """
    try:
        stats = UsageStats.model_validate(value)
    except ValidationError as exc:
        raise _invalid(_describe(exc)) from None
    if stats.filter_date.to < stats.filter_date.from_:
        raise _invalid(f"filterDate runs backwards, from {stats.filter_date.from_} to {stats.filter_date.to}")
    first, last = stats.filter_date.first_day, stats.filter_date.last_day
    if question.period.is_daily and (first.year, first.month) != (last.year, last.month):
        raise _invalid(f"filterDate from {first} to {last} is not within one month")
    seen: set[date] = set()
    for node in stats.history.nodes:
        bucket = parse_label(node.date, is_daily=question.period.is_daily)
        # By the month: `to` may be the time of the call, and is no promise about the days before it.
        if not first.replace(day=1) <= bucket.replace(day=1) <= last:
            raise _invalid(f"history has {node.date!r}, outside its window from {first} to {last}")
        if bucket in seen:
            raise _invalid(f"history has {node.date!r} twice")
        seen.add(bucket)
    if sum(node.usage for node in stats.history.nodes) > _LARGEST:
        raise _invalid("the sum of history's usage is larger than any table can hold")
    return stats


def parse_label(label: str, *, is_daily: bool) -> date:
    """The day that a label names, or the first day of the month.

    Raises:
        OrganizationError: ``INVALID_ANSWER``: it is no date of that grain.
    """
    pattern, length = ("yyyy-MM-dd", 10) if is_daily else ("yyyy-MM", 7)
    if len(label) == length and label.isascii():
        with contextlib.suppress(ValueError):
            bucket = date.fromisoformat(label if is_daily else f"{label}-01")
            # `fromisoformat` reads more than one way to write a day, weeks among them.
            if bucket.isoformat().startswith(label):
                return bucket
    raise _invalid(f"history has the label {label[:40]!r}, which is no {pattern}")


def parse_organization(value: object) -> KnownOrganization:
    """An organization of an answer.

    Raises:
        OrganizationError: ``INVALID_ANSWER``.
    """
    try:
        return KnownOrganization.model_validate(value)
    except ValidationError as exc:
        raise _invalid(_describe(exc)) from None


def _describe(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    errors = error.errors(include_url=False, include_context=False)
    place = ".".join(str(part) for part in errors[0]["loc"]) or "the answer"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{place} is {str(errors[0]['input'])[:60]!r}: {errors[0]['msg']}{more}"


def _invalid(reason: str) -> OrganizationError:
    return OrganizationError(
        f"{reason}. Nothing of this answer was stored; if it goes on, tell Pipefy's support",
        code="INVALID_ANSWER",
    )

"""When the export is due: a crontab line, read as cron reads it, on the wall clock of a zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

# In cron's order: 0 is Sunday, and so is 7.
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
# How far to look back for the last due instant: not far for what is often due, far for what is rarely.
_LOOK_BACKS = (timedelta(hours=2), timedelta(days=2), timedelta(days=40), timedelta(days=1500))
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class Schedule:
    """The instants at which the export is due.

    The line is matched against the wall clock of the zone. A wall time that a clock change skips is due at
    the instant of the change; one that it repeats is due the first time only. So a line that names one time
    of day is due exactly once on every local day, also on those of 23 or 25 hours.

    Attributes:
        line: Five crontab fields, an ``@daily`` or the like, or a time of day (``05:15``).
        timezone: An IANA zone (``Europe/Lisbon``).

    Raises:
        ValueError: The line or the zone cannot be read; the message says what is wrong.
    """

    line: str
    timezone: str = "UTC"

    @property
    def name(self) -> str:
        """The schedule in a word, as it is recorded with its runs."""
        return f"{self.line} {self.timezone}"[:100]

    def __post_init__(self) -> None:
        _ = self._zone, self._wall_clock

    def next_after(self, instant: datetime) -> datetime | None:
        """The first instant after the given one (aware) at which the export is due, in UTC, or None."""
        wall = _wall_time(instant, self._zone)
        while (wall_due := self._next_wall(wall)) is not None:
            due = _instant(wall_due, self._zone)
            if due > instant:
                return due
            wall = wall_due
        return None

    def last_due(self, instant: datetime) -> datetime | None:
        """The last instant at which the export was due, up to and including the given one (aware), in UTC."""
        for look_back in _LOOK_BACKS:
            due, after = None, self.next_after(instant - look_back)
            while after is not None and after <= instant:
                due, after = after, self.next_after(after)
            if due is not None:
                return due
        return None

    def _next_wall(self, wall: datetime) -> datetime | None:
        """The first matching wall time after the given one, both without a zone."""
        after = (wall + timedelta(microseconds=1)).replace(tzinfo=UTC)
        due: datetime | None = self._wall_clock.get_next_fire_time(None, after)
        return None if due is None else due.replace(tzinfo=None)

    @cached_property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(
                f"{self.timezone!r} is no time zone; write one like Europe/Lisbon or UTC"
            ) from exc

    @cached_property
    def _wall_clock(self) -> CronTrigger | OrTrigger:
        """The line as a trigger on a clock without zones: UTC stands for whatever the wall clock shows."""
        minute, hour, day, month, day_of_week = _split(self.line)
        fields = {"minute": minute, "hour": hour, "month": month, "timezone": UTC}
        if day.startswith("*") or day_of_week.startswith("*"):
            return _trigger(self.line, day=day, day_of_week=_weekdays(self.line, day_of_week), **fields)
        # cron's rule: when both are named, either will do.
        return OrTrigger(
            [
                _trigger(self.line, day=day, **fields),
                _trigger(self.line, day_of_week=_weekdays(self.line, day_of_week), **fields),
            ]
        )


def _split(line: str) -> list[str]:
    text = line.strip().lower()
    if time_of_day := _TIME_OF_DAY.fullmatch(text):
        hour, minute = time_of_day.groups()
        return [str(int(minute)), str(int(hour)), "*", "*", "*"]
    fields = _MACROS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{line!r} is no schedule; write five crontab fields (minute hour day month weekday) like "
            "'15 5 * * *', or a time of day like '05:15'"
        )
    return fields


def _trigger(line: str, **fields: object) -> CronTrigger:
    try:
        return CronTrigger(second=0, **fields)
    except (ValueError, TypeError) as exc:
        raise ValueError(f"{line!r} is no schedule: {exc}") from exc


def _weekdays(line: str, field: str) -> str:
    """The field's weekdays by name, since APScheduler counts from Monday and cron from Sunday."""
    if field == "*":
        return field
    return ",".join(
        sorted({_WEEKDAYS[number] for part in field.split(",") for number in _expand(line, part)})
    )


def _expand(line: str, part: str) -> range:
    span, _, step = part.partition("/")
    first, dash, last = span.partition("-")
    if span == "*":
        first, last = "0", "6"
    elif not dash:
        last = "6" if step else first
    try:
        numbers = range(_weekday(first), _weekday(last) + 1, int(step or 1))
    except ValueError as exc:
        raise ValueError(f"{line!r} is no schedule: {part!r} is no weekday (0 to 7, or sun to sat)") from exc
    if not numbers:
        raise ValueError(
            f"{line!r} is no schedule: {part!r} runs backwards; write two ranges, like fri-sat,sun-mon"
        )
    return numbers


def _weekday(text: str) -> int:
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    number = int(text)
    if not 0 <= number < len(_WEEKDAYS):
        raise ValueError(text)
    return number


def _wall_time(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's wall clock first shows the time or, if it skips it, the instant at which it jumps."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall_time(first, zone) == wall:
        return first
    # In a gap the two readings differ by its length, and the jump lies between them.
    early, late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        early, late = (middle, late) if _wall_time(middle, zone) < wall else (early, middle)
    return late.replace(microsecond=0)

"""When the export is due, also around the changes of clocks."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedule import Schedule

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)  # a Tuesday
MINUTE = timedelta(minutes=1)
# Gaps and folds of an hour by day and by night, of half an hour, at midnight, over midnight, of three hours.
ZONES = (
    "UTC",
    "Europe/Lisbon",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Nuuk",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
)
ALL_ZONES = sorted(available_timezones() - {"localtime"})


def _dues(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    """All instants after the start and before the end at which the schedule is due."""
    due = schedule.next_after(start)
    while due is not None and due < end:
        yield due
        due = schedule.next_after(due)


def _first(line: str, after: datetime = NOW, count: int = 1) -> list[str]:
    dues = _dues(Schedule(line), after, after + timedelta(days=3700))
    return [f"{due:%a %Y-%m-%d %H:%M}" for due, _ in zip(dues, range(count), strict=False)]


@cache
def _clock_changes(zone: str, year: int) -> list[datetime]:
    """The hours of a year, UTC, in which the zone's offset changes."""
    tz = ZoneInfo(zone)
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [hour.astimezone(tz).utcoffset() for hour in hours]
    return [hours[at] for at in range(1, len(hours)) if offsets[at] != offsets[at - 1]]


def _by_the_clock(zone: str, wanted: Iterable[datetime], start: datetime, minutes: int) -> list[datetime]:
    """When somebody who watches the wall clock, minute by minute, first sees it reach each wanted time."""
    tz = ZoneInfo(zone)
    instants = [start + MINUTE * count for count in range(minutes)]
    latest: list[datetime] = []
    for instant in instants:
        shown = instant.astimezone(tz).replace(tzinfo=None)
        latest.append(max(shown, latest[-1]) if latest else shown)
    reached = {instants[at] for wall in wanted if 0 < (at := bisect_right(latest, wall - MINUTE)) < minutes}
    return sorted(reached)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("15 5 * * *", ["Wed 2026-06-17 05:15", "Thu 2026-06-18 05:15"]),
        ("05:15", ["Wed 2026-06-17 05:15", "Thu 2026-06-18 05:15"]),
        ("5:16", ["Tue 2026-06-16 05:16", "Wed 2026-06-17 05:16"]),
        ("  @Daily ", ["Wed 2026-06-17 00:00", "Thu 2026-06-18 00:00"]),
        ("@midnight", ["Wed 2026-06-17 00:00", "Thu 2026-06-18 00:00"]),
        ("@hourly", ["Tue 2026-06-16 06:00", "Tue 2026-06-16 07:00"]),
        ("@weekly", ["Sun 2026-06-21 00:00", "Sun 2026-06-28 00:00"]),
        ("@monthly", ["Wed 2026-07-01 00:00", "Sat 2026-08-01 00:00"]),
        ("0 5 * * 0", ["Sun 2026-06-21 05:00", "Sun 2026-06-28 05:00"]),
        ("0 5 * * 7", ["Sun 2026-06-21 05:00", "Sun 2026-06-28 05:00"]),
        ("0 5 * * SUN", ["Sun 2026-06-21 05:00", "Sun 2026-06-28 05:00"]),
        ("0 5 * * 1", ["Mon 2026-06-22 05:00", "Mon 2026-06-29 05:00"]),
        ("0 5 * * 5-7", ["Fri 2026-06-19 05:00", "Sat 2026-06-20 05:00", "Sun 2026-06-21 05:00"]),
        ("0 5 * * 0,6", ["Sat 2026-06-20 05:00", "Sun 2026-06-21 05:00", "Sat 2026-06-27 05:00"]),
        ("0 5 * * mon-wed", ["Wed 2026-06-17 05:00", "Mon 2026-06-22 05:00", "Tue 2026-06-23 05:00"]),
        ("0 5 * * 1-5/2", ["Wed 2026-06-17 05:00", "Fri 2026-06-19 05:00", "Mon 2026-06-22 05:00"]),
        ("0 5 * * 4/2", ["Thu 2026-06-18 05:00", "Sat 2026-06-20 05:00", "Thu 2026-06-25 05:00"]),
        ("0 5 * * */3", ["Wed 2026-06-17 05:00", "Sat 2026-06-20 05:00", "Sun 2026-06-21 05:00"]),
        ("*/20 6 * * *", ["Tue 2026-06-16 06:00", "Tue 2026-06-16 06:20", "Tue 2026-06-16 06:40"]),
        ("5,50 4-6 * * *", ["Tue 2026-06-16 05:50", "Tue 2026-06-16 06:05", "Tue 2026-06-16 06:50"]),
        ("0 0 1 jan,jul *", ["Wed 2026-07-01 00:00", "Fri 2027-01-01 00:00"]),
        ("0 0 29 2 *", ["Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"]),
        # cron's rule: day or weekday when both are named, day and weekday when one begins with a star.
        ("0 5 1 * mon", ["Mon 2026-06-22 05:00", "Mon 2026-06-29 05:00", "Wed 2026-07-01 05:00"]),
        ("0 5 1-7 * */7", ["Sun 2026-07-05 05:00", "Sun 2026-08-02 05:00"]),
    ],
)
def test_a_line_is_read_as_cron_reads_it(line: str, first: list[str]) -> None:
    assert _first(line, count=len(first)) == first


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "five crontab fields"),
        ("* * * *", "five crontab fields"),
        ("0 0 0 * * *", "five crontab fields"),
        ("@reboot", "five crontab fields"),
        ("24:00", "five crontab fields"),
        ("5:60", "five crontab fields"),
        ("60 * * * *", "higher than the maximum value"),
        ("* 24 * * *", "higher than the maximum value"),
        ("* * 0 * *", "lower than the minimum value"),
        ("* * * 13 *", "higher than the maximum value"),
        ("30-10 * * * *", "minimum value in a range"),
        ("*/0 * * * *", "must be higher than 0"),
        ("a * * * *", "Unrecognized expression"),
        ("* * * foo *", "Invalid month name"),
        ("* * * * 8", "'8' is no weekday (0 to 7, or sun to sat)"),
        ("* * * * -1", "'-1' is no weekday"),
        ("* * * * mon,", "'' is no weekday"),
        ("* * * * monday", "'monday' is no weekday"),
        ("* * * * */0", "'*/0' is no weekday"),
        ("* * * * fri-mon", "'fri-mon' runs backwards; write two ranges, like fri-sat,sun-mon"),
    ],
)
def test_a_line_that_cron_would_refuse_is_refused_with_its_reason(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="is no schedule") as refused:
        Schedule(line)

    assert complaint in str(refused.value)
    assert repr(line) in str(refused.value)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "../etc/passwd", "UTC+3"])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no time zone; write one like Europe/Lisbon or UTC"):
        Schedule("@daily", zone)


def test_a_day_that_never_comes_is_never_due() -> None:
    assert Schedule("0 0 30 2 *").next_after(NOW) is None
    assert Schedule("0 0 30 2 *", "Europe/Lisbon").next_after(NOW) is None


def test_the_given_instant_itself_is_past() -> None:
    schedule = Schedule("15 5 * * *")

    assert schedule.next_after(NOW - timedelta(microseconds=1)) == NOW
    assert schedule.next_after(NOW) == NOW + timedelta(days=1)


def test_the_line_is_read_on_the_wall_clock_of_its_zone() -> None:
    schedule = Schedule("15 5 * * *", "America/Sao_Paulo")

    assert schedule.next_after(NOW) == datetime(2026, 6, 16, 8, 15, tzinfo=UTC)


def test_an_instant_may_be_told_in_any_zone() -> None:
    told = NOW.astimezone(ZoneInfo("Asia/Kathmandu"))

    due = Schedule("@hourly", "Europe/Lisbon").next_after(told)

    assert due == datetime(2026, 6, 16, 6, 0, tzinfo=UTC)
    assert due.tzinfo is UTC


@pytest.mark.parametrize(
    ("zone", "line", "after", "dues"),
    [
        # 01:30 is skipped: due at the jump, 01:00 UTC, and then as ever.
        ("Europe/Lisbon", "30 1 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # 01:30 is shown twice: due the first time only.
        ("Europe/Lisbon", "30 1 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("Europe/Lisbon", "30 1 * * *", "2026-10-25T00:45", ["2026-10-26T01:30"]),
        # Several skipped times are due together.
        ("Europe/Lisbon", "*/20 1 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        # Saturday's last hour is skipped.
        ("America/Nuuk", "30 23 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        # Samoa left out a whole day; it is due when that day would have begun, once.
        ("Pacific/Apia", "15 5 * * *", "2011-12-29T00:00", ["2011-12-29T15:15", "2011-12-30T10:00"]),
    ],
)
def test_a_clock_change_neither_loses_nor_doubles_a_due_time(
    zone: str, line: str, after: str, dues: list[str]
) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)

    found = _dues(Schedule(line, zone), start, start + timedelta(days=30))

    assert [f"{due:%Y-%m-%dT%H:%M}" for due, _ in zip(found, dues, strict=False)] == dues


@pytest.mark.parametrize("zone", ZONES)
def test_around_each_clock_change_it_is_due_when_the_wall_clock_first_reaches_the_time(zone: str) -> None:
    """The brute force: watch the clock, minute by minute, for three days."""
    chance = random.Random(zone)  # noqa: S311 # no secret is made of it
    for year in (2010, 2026):
        for change in _clock_changes(zone, year) or [datetime(year, 1, 1, tzinfo=UTC)]:
            start = change - timedelta(hours=36)
            days = [start.date() + timedelta(days=day) for day in range(-2, 6)]
            wall_change = change.astimezone(ZoneInfo(zone))
            for at in (time(wall_change.hour, 30), time(chance.randrange(24), chance.randrange(60)), time()):
                wanted = [datetime.combine(day, at) for day in days]

                found = _dues(Schedule(f"{at.minute} {at.hour} * * *", zone), start, start + MINUTE * 4320)

                assert list(found) == _by_the_clock(zone, wanted, start, 4320)


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "Australia/Lord_Howe", "Antarctica/Troll", "America/Nuuk"])
def test_a_line_of_many_times_a_day_follows_the_wall_clock_too(zone: str) -> None:
    for change in _clock_changes(zone, 2026):
        start = change - timedelta(hours=5)
        day = datetime.combine(start.date() - timedelta(days=1), time())
        wanted = [day + timedelta(minutes=10 * count) for count in range(6 * 24 * 4)]

        found = _dues(Schedule("*/10 * * * *", zone), start, start + timedelta(hours=10))

        assert list(found) == _by_the_clock(zone, wanted, start, 600)


@settings(deadline=None, max_examples=25)
@given(
    zone=st.sampled_from(ALL_ZONES),
    year=st.integers(2015, 2040),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_daily_line_is_due_exactly_once_for_each_local_day(
    zone: str, year: int, hour: int, minute: int
) -> None:
    tz = ZoneInfo(zone)
    start, end = datetime(year, 1, 1, tzinfo=tz), datetime(year + 1, 1, 1, tzinfo=tz)

    dues = list(_dues(Schedule(f"{hour:02}:{minute:02}", zone), start - MINUTE, end))

    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    assert len(dues) == days
    hours_apart = {(later - earlier) / timedelta(hours=1) for earlier, later in pairwise(dues)}
    assert all(20 < hours < 28 for hours in hours_apart)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ALL_ZONES),
    line=st.sampled_from(["*/7 * * * *", "30 1,2 * * *", "0 5 1 * mon", "59 23 * * *"]),
    second=st.integers(631_152_000, 2_208_988_800),
)
def test_it_never_goes_backwards(zone: str, line: str, second: int) -> None:
    instant = datetime.fromtimestamp(second, UTC)
    schedule = Schedule(line, zone)

    due = schedule.next_after(instant)

    assert due is not None
    assert due > instant
    # Nothing lies between: asking from just before the due time finds the same.
    assert schedule.next_after(due - timedelta(seconds=1)) == due

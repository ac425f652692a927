"""Each local day exactly one run, in every zone, over twenty years: computed, not waited for."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from jobs.schedule import Schedule

# More than 500 places; `Etc/GMT+5` and the like have no clock changes.
ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
FIRST, LAST = date(2015, 1, 1), date(2035, 1, 1)
# In the hours at which clocks change, and at both ends of a day.
TIMES = (time(1, 30), time(2, 15), time(0, 0), time(23, 59))
SHARDS = 8
SECOND = timedelta(seconds=1)
# No clock jumps further; Casey in Antarctica once did so far.
LONGEST_JUMP = timedelta(hours=3)


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _is_due_once_each_day(zone: str, at: time, first: date, days: int) -> None:
    """Follows the schedule: its n-th instant is when the clock first reaches the time on the n-th day."""
    place, schedule = ZoneInfo(zone), Schedule(f"{at.minute} {at.hour} * * *", zone)
    due = schedule.next_after(datetime.combine(first, time(), tzinfo=place).astimezone(UTC) - SECOND)
    for day in (first + timedelta(days=number) for number in range(days)):
        assert due is not None
        wanted = datetime.combine(day, at)
        assert wanted <= _wall(due, place) <= wanted + LONGEST_JUMP, (zone, day)
        assert _wall(due - SECOND, place) < wanted, (zone, day)
        due = schedule.next_after(due)


def _changes(zone: str) -> list[date]:
    """The days before those on which the zone's clock shows another offset at noon."""
    place = ZoneInfo(zone)
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]
    offsets = [datetime.combine(day, time(12), tzinfo=place).utcoffset() for day in days]
    return [day for day, now, then in zip(days, offsets, offsets[1:], strict=False) if now != then]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_around_every_clock_change_of_20_years_each_local_day_has_exactly_one_run(shard: int) -> None:
    for zone in ZONES[shard::SHARDS]:
        for change in _changes(zone):
            for at in TIMES:
                _is_due_once_each_day(zone, at, change - timedelta(days=1), days=4)


@pytest.mark.long
@pytest.mark.parametrize("shard", range(SHARDS))
def test_each_local_day_of_20_years_has_exactly_one_run(shard: int) -> None:
    for zone in ZONES[shard::SHARDS]:
        _is_due_once_each_day(zone, time(1, 30), FIRST, (LAST - FIRST).days)

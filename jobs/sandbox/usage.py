"""Usage that looks real and depends on nothing but seed, organization and day."""

from array import array
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import shake_128

# Growth counts from here, and stops after so many months: no date makes usage explode.
GROWTH_STARTS_ON = date(2026, 1, 1)
GROWTH_ENDS_AFTER_MONTHS = 48

FIRST_WEEKEND_DAY = 5
BUSY_DAY_ABOVE = 0.97


@dataclass(frozen=True)
class Habits:
    """How an organization consumes tasks.

    Attributes:
        weekday_tasks: Tasks of an ordinary weekday in January 2026.
        weekend_share: A weekend day's tasks as a share of a weekday's.
        monthly_growth: The factor from one month to the next.
        quiet_share: The share of weekdays without any run.
        flows: Flows that exist, the most that can be active.
    """

    weekday_tasks: float
    weekend_share: float
    monthly_growth: float
    quiet_share: float
    flows: int


def habits_of(seed: int, organization_uuid: str) -> Habits:
    """Return the habits of an organization, the same for the same seed and UUID."""
    scale, weekend, growth, quiet, flows = _shares(f"{seed}:{organization_uuid}", 5)
    return Habits(
        weekday_tasks=10 ** (0.8 + 3.2 * scale),
        weekend_share=0.4 * weekend,
        monthly_growth=0.97 + 0.1 * growth,
        quiet_share=0.12 * quiet,
        flows=2 + int(38 * flows * scale),
    )


def generated_month(seed: int, organization_uuid: str, habits: Habits, month: date) -> Sequence[int]:
    """Return the tasks of each day of a month, whole days, in order.

    Args:
        seed: The sandbox's seed.
        organization_uuid: Whose usage.
        habits: What `habits_of` says of it.
        month: The first day of the month.

    Returns:
        One number a day; 0 for a day without runs, which Pipefy's history would not list.
    """
    first_weekday, days = monthrange(month.year, month.month)
    noise = _shares(f"{seed}:{organization_uuid}:{month:%Y-%m}", 2 * days)
    level = habits.weekday_tasks * _growth(habits, month)
    return array(
        "q",
        (
            _tasks_of_day(habits, level, (first_weekday + day) % 7, noise[2 * day], noise[2 * day + 1])
            for day in range(days)
        ),
    )


def _tasks_of_day(habits: Habits, level: float, weekday: int, quiet: float, busy: float) -> int:
    is_weekend = weekday >= FIRST_WEEKEND_DAY
    if quiet < habits.quiet_share * (4 if is_weekend else 1):
        return 0
    spread = 3.0 if busy > BUSY_DAY_ABOVE else 0.6 + 0.8 * busy
    return int(level * spread * (habits.weekend_share if is_weekend else 1))


def _growth(habits: Habits, month: date) -> float:
    months = (month.year - GROWTH_STARTS_ON.year) * 12 + month.month - GROWTH_STARTS_ON.month
    limited = max(-GROWTH_ENDS_AFTER_MONTHS, min(GROWTH_ENDS_AFTER_MONTHS, months))
    return float(habits.monthly_growth**limited)


def _shares(name: str, count: int) -> list[float]:
    # One hash gives all the numbers of a name: cheaper than a random generator seeded for each.
    noise = shake_128(name.encode()).digest(2 * count)
    return [int.from_bytes(noise[at : at + 2], "big") / 0x10000 for at in range(0, 2 * count, 2)]

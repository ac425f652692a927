"""The date the sandbox believes in."""

from collections.abc import Callable
from datetime import UTC, date, datetime

SECONDS_A_DAY = 24 * 60 * 60

# Of a date that was set there is no time of day, so half of it is over until told otherwise:
# the same question twice then has the same answer.
SHARE_OF_A_SET_DATE = 0.5


def utc_now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


class Clock:
    """What day it is, in UTC, and how much of that day is over.

    Args:
        today: A set date, or None for the real one.
        share_of_today: The share of the set date that is over, 0 to 1; None for half of it.
        now: Where the real instant comes from.
    """

    def __init__(
        self,
        today: date | None,
        share_of_today: float | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.set_date = today
        self.set_share = share_of_today
        self._now = now

    @property
    def today(self) -> date:
        """The date the sandbox believes in."""
        return self.set_date or self._now().date()

    @property
    def share_of_today(self) -> float:
        """The share of today that is over, 0 to 1."""
        if self.set_share is not None:
            return self.set_share
        if self.set_date is not None:
            return SHARE_OF_A_SET_DATE
        now = self._now()
        return (now.hour * 3600 + now.minute * 60 + now.second) / SECONDS_A_DAY

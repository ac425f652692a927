"""The three periods of Pipefy's `PeriodFilter`, as months of the calendar in UTC."""

import calendar
from datetime import date, timedelta
from typing import Literal, TypeAlias

Period: TypeAlias = Literal["current_month", "last_month", "last_3_months"]

PERIODS: tuple[Period, ...] = ("current_month", "last_month", "last_3_months")


def month_before(day: date) -> date:
    """Return the first day of the month before the one that holds `day`."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def last_of_month(day: date) -> date:
    """Return the last day of the month that holds `day`."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def months_of(period: Period, today: date) -> tuple[date, ...]:
    """Return the first days of the months that a period covers, in order.

    The documentation leaves open whether `last_3_months` includes this month.
    The sandbox's choice: this month and the two before.
    """
    this_month = today.replace(day=1)
    last_month = month_before(this_month)
    if period == "current_month":
        return (this_month,)
    if period == "last_month":
        return (last_month,)
    return (month_before(last_month), last_month, this_month)


def filter_date(period: Period, today: date) -> dict[str, str]:
    """Return the boundaries in the form of the documentation's sample.

    They are UTC, and `to` is the last second of the last month, also when that lies in the future.
    """
    months = months_of(period, today)
    return {
        "from": f"{months[0].isoformat()}T00:00:00Z",
        "to": f"{last_of_month(months[-1]).isoformat()}T23:59:59Z",
    }

"""The usage of every organization as Pipefy would tell it: generated, partial today, restated."""

from collections.abc import Sequence
from datetime import date
from typing import TypeAlias

from jobs.sandbox.organizations import Organization
from jobs.sandbox.periods import Period, filter_date, last_of_month, months_of
from jobs.sandbox.usage import Habits, generated_month, habits_of

# Labels as Pipefy writes them, each with its tasks.
History: TypeAlias = list[tuple[str, int]]

# The documentation's sample answer to `current_month`, abridged as it stands there: the total is
# not the sum of the days shown.
SAMPLE_STATS: dict[str, object] = {
    "tasksConsumed": {"usage": 1280, "limit": None},
    "activeFlows": 7,
    "filterDate": {"from": "2026-06-01T00:00:00Z", "to": "2026-06-30T23:59:59Z"},
    "history": {
        "nodes": [
            {"date": "2026-06-01", "usage": 120, "limit": None},
            {"date": "2026-06-02", "usage": 64, "limit": None},
        ]
    },
}


class UsageBook:
    """The usage of organizations.

    A past day says the same whatever today is, a month is the sum of its days, and a period the
    sum of its history, unless told otherwise.

    Args:
        seed: Other seeds give other numbers.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._habits: dict[str, Habits] = {}
        self._months: dict[tuple[str, date], Sequence[int]] = {}
        self._labels: dict[date, tuple[str, ...]] = {}
        self._restated: dict[str, dict[date, int | None]] = {}
        self._totals: dict[tuple[str, str], int] = {}

    def restate(self, organization_uuid: str, day: date, usage: int | None) -> None:
        """Set what a day says, from now on; None takes the day out of the history."""
        # A new dict: the server's thread may be reading the old one.
        self._restated[organization_uuid] = self._restated.get(organization_uuid, {}) | {day: usage}

    def declare_total(self, organization_uuid: str, period: Period, usage: int) -> None:
        """Let the total of a period differ from the sum of its history."""
        self._totals[organization_uuid, period] = usage

    def stats(
        self, organization: Organization, period: Period, *, today: date, share_of_today: float
    ) -> dict[str, object]:
        """Return the answer of `integrationsUsageStats`.

        Args:
            organization: Whose usage.
            period: One of the three periods.
            today: The last day that has usage.
            share_of_today: How much of that day's usage there is already, 0 to 1.

        Returns:
            Plain dicts and lists in the form of the documentation's sample, all fields present.
        """
        months = [
            self.days_of(organization.uuid, month, today=today, share_of_today=share_of_today)
            for month in months_of(period, today)
        ]
        history = _monthly(months) if period == "last_3_months" else months[0]
        limit = organization.limit
        total = self._totals.get((organization.uuid, period))
        return {
            "tasksConsumed": {
                "usage": sum(usage for _, usage in history) if total is None else total,
                "limit": limit,
            },
            "activeFlows": self._active_flows(organization.uuid, sum(map(len, months))),
            "filterDate": filter_date(period, today),
            "history": {
                "nodes": [{"date": label, "usage": usage, "limit": limit} for label, usage in history]
            },
        }

    def days_of(self, organization_uuid: str, month: date, *, today: date, share_of_today: float) -> History:
        """Return the days of a month up to today that have usage, today in part.

        Args:
            organization_uuid: Whose usage.
            month: The first day of the month.
            today: The last day that has usage.
            share_of_today: How much of that day's usage there is already, 0 to 1.
        """
        usages = self._usages_until(today, organization_uuid, month, share_of_today)
        for day, usage in self._restated.get(organization_uuid, {}).items():
            if day.replace(day=1) == month and day <= today:
                usages[day.day - 1] = usage
        labelled = zip(self._labels_of(month), usages, strict=False)
        return [(label, usage) for label, usage in labelled if usage is not None]

    def _usages_until(
        self, today: date, organization_uuid: str, month: date, share_of_today: float
    ) -> list[int | None]:
        if today < month:
            return []
        generated = self._generated(organization_uuid, month)
        usages = [usage or None for usage in generated]
        if today <= last_of_month(month):
            partial = int(generated[today.day - 1] * share_of_today)
            usages[today.day - 1 :] = [partial or None]
        return usages

    def _generated(self, organization_uuid: str, month: date) -> Sequence[int]:
        usages = self._months.get((organization_uuid, month))
        if usages is None:
            usages = generated_month(self._seed, organization_uuid, self._habits_of(organization_uuid), month)
            self._months[organization_uuid, month] = usages
        return usages

    def _habits_of(self, organization_uuid: str) -> Habits:
        habits = self._habits.get(organization_uuid)
        if habits is None:
            habits = self._habits[organization_uuid] = habits_of(self._seed, organization_uuid)
        return habits

    def _labels_of(self, month: date) -> tuple[str, ...]:
        labels = self._labels.get(month)
        if labels is None:
            days = range(1, last_of_month(month).day + 1)
            labels = self._labels[month] = tuple(month.replace(day=day).isoformat() for day in days)
        return labels

    def _active_flows(self, organization_uuid: str, days_with_runs: int) -> int:
        flows = self._habits_of(organization_uuid).flows
        return min(flows, days_with_runs * (1 + flows // 12))


def _monthly(months: list[History]) -> History:
    return [(days[0][0][:7], sum(usage for _, usage in days)) for days in months if days]

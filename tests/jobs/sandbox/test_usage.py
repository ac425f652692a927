"""The usage that is made up, as it is seen from outside."""

from datetime import date, timedelta
from typing import Any

import pytest

from jobs.sandbox import PERIODS, Period, Sandbox
from tests.jobs.sandbox.asking import Asker

TODAY = date(2026, 6, 16)


def history(stats: Any) -> dict[str, int]:  # noqa: ANN401 it is what JSON holds
    return {node["date"]: node["usage"] for node in stats["history"]["nodes"]}


def test_the_same_seed_says_the_same() -> None:
    one, other = Sandbox(today=TODAY, seed=3), Sandbox(today=TODAY, seed=3)
    assert one.organizations == other.organizations
    uuid = one.organizations[0].uuid
    assert [one.stats(uuid, period) for period in PERIODS] == [
        other.stats(uuid, period) for period in PERIODS
    ]


def test_another_seed_says_something_else() -> None:
    one, other = Sandbox(today=TODAY, seed=3), Sandbox(today=TODAY, seed=4)
    assert one.organizations[0].uuid != other.organizations[0].uuid


def test_more_organizations_leave_the_first_ones_as_they_are() -> None:
    assert Sandbox(organizations=40).organizations[:25] == Sandbox(organizations=25).organizations


def test_organizations_are_told_apart_by_id_uuid_and_name() -> None:
    organizations = Sandbox(organizations=2_000).organizations
    for attribute in ("id", "uuid", "name"):
        assert len({getattr(organization, attribute) for organization in organizations}) == 2_000
    assert all(organization.id.isdecimal() for organization in organizations)


def test_some_organizations_have_a_limit_and_some_have_none() -> None:
    limits = [organization.limit for organization in Sandbox(organizations=25).organizations]
    assert None in limits
    assert all(limit is None or limit >= 1_000 for limit in limits)
    assert any(limits)


def test_a_limit_stands_at_the_total_and_at_every_node(sandbox: Sandbox, ask: Asker) -> None:
    for organization in sandbox.organizations:
        stats = ask.stats(organization.uuid)
        assert stats["tasksConsumed"]["limit"] == organization.limit
        assert {node["limit"] for node in stats["history"]["nodes"]} == {organization.limit}


@pytest.mark.parametrize("period", PERIODS)
def test_the_total_is_the_sum_of_the_history(sandbox: Sandbox, ask: Asker, period: Period) -> None:
    for organization in sandbox.organizations:
        stats = ask.stats(organization.uuid, period)
        assert stats["tasksConsumed"]["usage"] == sum(history(stats).values())


def test_a_total_can_be_told_to_differ_from_its_history(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    sandbox.declare_total(uuid, "last_month", 12)
    stats = ask.stats(uuid, "last_month")
    assert stats["tasksConsumed"]["usage"] == 12
    assert sum(history(stats).values()) != 12


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("current_month", "2026-06-01T00:00:00Z", "2026-06-30T23:59:59Z"),
        ("last_month", "2026-05-01T00:00:00Z", "2026-05-31T23:59:59Z"),
        ("last_3_months", "2026-04-01T00:00:00Z", "2026-06-30T23:59:59Z"),
    ],
)
def test_the_boundaries_are_those_of_whole_months(
    sandbox: Sandbox, ask: Asker, period: str, start: str, end: str
) -> None:
    assert ask.stats(sandbox.organizations[0].uuid, period)["filterDate"] == {"from": start, "to": end}


def test_boundaries_cross_the_turn_of_the_year(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.today = date(2028, 2, 29)
    uuid = sandbox.organizations[0].uuid
    assert ask.stats(uuid, "last_3_months")["filterDate"]["from"] == "2027-12-01T00:00:00Z"
    assert ask.stats(uuid)["filterDate"]["to"] == "2028-02-29T23:59:59Z"


def test_a_month_of_the_last_three_is_the_sum_of_its_days(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    months = history(ask.stats(uuid, "last_3_months"))
    assert list(months) == ["2026-04", "2026-05", "2026-06"]
    assert months["2026-05"] == sum(history(ask.stats(uuid, "last_month")).values())
    assert months["2026-06"] == sum(history(ask.stats(uuid, "current_month")).values())


def test_a_past_day_says_the_same_whatever_today_is(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    sandbox.today = date(2026, 6, 30)
    as_this_month = history(ask.stats(uuid, "current_month"))
    sandbox.today = date(2026, 7, 9)
    as_last_month = history(ask.stats(uuid, "last_month"))
    del as_this_month["2026-06-30"]
    assert as_this_month.items() <= as_last_month.items()
    sandbox.today = TODAY
    partial = {(TODAY.isoformat(), sandbox.usage_on(uuid, TODAY))}
    assert history(ask.stats(uuid)).items() - as_last_month.items() == partial


def test_no_day_after_today_is_listed(sandbox: Sandbox, ask: Asker) -> None:
    for organization in sandbox.organizations:
        assert max(history(ask.stats(organization.uuid))) <= TODAY.isoformat()
        assert sandbox.usage_on(organization.uuid, TODAY + timedelta(days=1)) is None
        assert sandbox.usage_on(organization.uuid, TODAY + timedelta(days=30)) is None


def test_today_grows_until_the_day_is_over(sandbox: Sandbox) -> None:
    uuid = sandbox.organizations[0].uuid
    usages = []
    for share in (0.0, 0.25, 0.5, 1.0):
        sandbox.share_of_today = share
        usages.append(sandbox.usage_on(uuid, TODAY) or 0)
    assert usages == sorted(set(usages))
    assert usages[0] == 0
    sandbox.today = TODAY + timedelta(days=1)
    assert sandbox.usage_on(uuid, TODAY) == usages[-1]


def test_of_a_set_date_half_is_over(sandbox: Sandbox) -> None:
    assert sandbox.share_of_today == 0.5


def test_the_real_date_is_believed_where_none_is_set(sandbox: Sandbox) -> None:
    sandbox.today = None
    assert abs(sandbox.today - date.today()) <= timedelta(days=1)  # noqa: DTZ011 the zone is within the day
    assert 0 <= sandbox.share_of_today < 1


def test_days_without_runs_are_absent_and_no_day_says_zero() -> None:
    sandbox = Sandbox(today=TODAY, organizations=50)
    months = [
        history(sandbox.stats(organization.uuid, "last_month")) for organization in sandbox.organizations
    ]
    assert any(len(days) < 31 for days in months)
    assert all(usage > 0 for days in months for usage in days.values())


def test_weekends_are_quieter_than_weekdays() -> None:
    sandbox = Sandbox(today=TODAY, organizations=50)
    weekdays: list[int] = []
    weekends: list[int] = []
    for organization in sandbox.organizations:
        for label, usage in history(sandbox.stats(organization.uuid, "last_month")).items():
            (weekends if date.fromisoformat(label).weekday() >= 5 else weekdays).append(usage)
    assert sum(weekends) / len(weekends) < sum(weekdays) / len(weekdays) / 2


def test_far_dates_say_something_sensible_too() -> None:
    sandbox = Sandbox(today=date(2200, 1, 1), organizations=50)
    totals = [
        history(sandbox.stats(organization.uuid, "last_month")) for organization in sandbox.organizations
    ]
    assert max(usage for days in totals for usage in days.values()) < 10**9


def test_active_flows_are_none_where_nothing_ran(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    assert ask.stats(uuid)["activeFlows"] > 0
    sandbox.today = date(2026, 6, 1)
    sandbox.restate(uuid, date(2026, 6, 1), None)
    stats = ask.stats(uuid)
    assert stats["activeFlows"] == 0
    assert stats["history"]["nodes"] == []
    assert stats["tasksConsumed"]["usage"] == 0
    assert "2026-06" not in history(ask.stats(uuid, "last_3_months"))


def test_a_restated_day_says_so_in_every_period_that_holds_it(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    before = history(ask.stats(uuid, "last_3_months"))["2026-06"]
    old = sandbox.usage_on(uuid, date(2026, 6, 2)) or 0
    sandbox.restate(uuid, date(2026, 6, 2), 999_999)
    assert history(ask.stats(uuid))["2026-06-02"] == 999_999
    assert history(ask.stats(uuid, "last_3_months"))["2026-06"] == before - old + 999_999
    sandbox.today = date(2026, 7, 1)
    assert history(ask.stats(uuid, "last_month"))["2026-06-02"] == 999_999


def test_a_restated_day_can_vanish_or_say_zero(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    sandbox.restate(uuid, date(2026, 6, 1), None)
    sandbox.restate(uuid, date(2026, 6, 2), 0)
    days = history(ask.stats(uuid))
    assert "2026-06-01" not in days
    assert days["2026-06-02"] == 0


def test_a_restated_day_waits_until_it_has_come(sandbox: Sandbox, ask: Asker) -> None:
    uuid = sandbox.organizations[0].uuid
    sandbox.restate(uuid, date(2026, 6, 20), 5)
    assert "2026-06-20" not in history(ask.stats(uuid))
    sandbox.today = date(2026, 6, 20)
    assert history(ask.stats(uuid))["2026-06-20"] == 5

"""The scheduled export, driven by a clock that the test turns: real runs, a real database, no waiting."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.export import Observer
from jobs.metrics import Metrics
from jobs.notices.messages import Messages
from jobs.notices.pings import Pings
from jobs.report import RunReport
from jobs.sandbox import Sandbox, faults
from jobs.scheduled import ExportSetup, ScheduledExport
from jobs.stopping import StopRequest
from jobs.wiring import load_all_credentials
from storage.database import build_engine, parse_url
from storage.lock import hold_run_lock
from storage.runs import RunStatus
from tests.exporting import NOW, Export, Silent

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Just over a minute: a run takes some of the time that its pause is counted from.
_A_MINUTE_LATER = timedelta(seconds=61)
_OUTAGE = faults.StatusAnswer(503)


class _Clock:
    """Shows what it is set to; the stand-in's date follows."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.set(NOW)

    def set(self, now: datetime) -> None:
        self.now = now
        self._sandbox.today = now.date()

    def advance(self, by: timedelta) -> None:
        self.set(self.now + by)

    def __call__(self) -> datetime:
        return self.now


class _NotedPings(Pings):
    """Notes what it would send."""

    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[tuple[str, str]] = []

    def start(self, run: str) -> bool | None:
        return self._note("start", run)

    def success(self, run: str, summary: str) -> bool | None:
        return self._note("success", run, summary)

    def fail(self, run: str, summary: str) -> bool | None:
        return self._note("fail", run, summary)

    def _note(self, kind: str, run: str, _summary: str = "") -> bool:
        self.sent.append((kind, run))
        return True

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent]


class _NotedMessages(Messages):
    """Notes what it would send, unless it does not arrive."""

    def __init__(self) -> None:
        super().__init__(())
        self.titles: list[str] = []
        self.bodies: list[str] = []
        self.arrives = True

    def send(self, title: str, body: str) -> bool | None:
        if self.arrives:
            self.titles.append(title)
            self.bodies.append(body)
        return self.arrives


class _BrokenPings(_NotedPings):
    def _note(self, kind: str, run: str, summary: str = "") -> bool:
        super()._note(kind, run, summary)
        raise RuntimeError("pings are broken")


class _BrokenMessages(_NotedMessages):
    def send(self, title: str, body: str) -> bool | None:
        super().send(title, body)
        raise RuntimeError("messages are broken")


def _silent() -> AbstractContextManager[Observer]:
    return nullcontext(Silent())


@dataclass
class _House:
    """Where the service lives: a configuration, a clock, whom it tells, and what becomes of all."""

    export: Export
    clock: _Clock
    pings: _NotedPings = field(default_factory=_NotedPings)
    messages: _NotedMessages = field(default_factory=_NotedMessages)
    stop: StopRequest = field(default_factory=StopRequest)

    def setup(self, engine: sa.Engine | None = None) -> ExportSetup:
        settings = self.export.wiring().settings
        return ExportSetup(
            settings=settings,
            credentials=load_all_credentials(settings, self.export.secrets),
            engine=engine or self.export.engine,
            pings=self.pings,
            messages=self.messages,
        )

    def process(self, observe: Callable[[], AbstractContextManager[Observer]] = _silent) -> ScheduledExport:
        """The service, just started."""
        return ScheduledExport(
            self.setup(), clock=self.clock, stop=self.stop, metrics=Metrics(self.clock), observe=observe
        )

    def runs(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.export.rows("export_runs", *columns)

    def told_of(self, words: str) -> list[str]:
        return [title for title in self.messages.titles if words in title]

    @property
    def uuids(self) -> list[str]:
        return [each.uuid for each in self.export.sandbox.organizations[:2]]

    def fail(self, uuid: str) -> None:
        """Has Pipefy answer an organization with an error from now on."""
        fault = faults.FailedAliases(code="PERMISSION_DENIED", organizations=[uuid])
        self.export.sandbox.inject(fault, times=None)

    def aliases(self) -> list[int]:
        """How many questions were asked in each request for usage, since the last look."""
        asked = [each.aliases for each in self.export.sandbox.requests if each.endpoint == "graphql"]
        self.export.sandbox.forget_requests()
        return asked


@pytest.fixture
def house(sqlite_export: Export) -> _House:
    """A service for two organizations whose export is due now; nobody minds how much they use."""
    sqlite_export.pipefy = "attempts = 1"
    sqlite_export.extra = "[notices]\nusage_shares = []"
    house = _House(sqlite_export, _Clock(sqlite_export.sandbox))
    sqlite_export.organizations = house.uuids
    return house


def _status(report: RunReport | None) -> RunStatus | None:
    return None if report is None else report.status


def _attend(service: ScheduledExport) -> RunStatus | None:
    return _status(service.attend())


# When it runs


@pytest.mark.parametrize(
    ("late", "trigger"),
    [
        (timedelta(0), "schedule"),
        (15 * _MINUTE, "schedule"),
        (16 * _MINUTE, "catch-up"),
        (_DAY - _MINUTE, "catch-up"),
    ],
)
def test_the_first_start_runs_at_once_whenever_it_is(house: _House, late: timedelta, trigger: str) -> None:
    house.clock.advance(late)

    assert _attend(house.process()) is RunStatus.SUCCEEDED

    [(*run, scheduled_for)] = house.runs("trigger", "attempts", "status", "scheduled_for")
    assert run == [trigger, 1, "succeeded"]
    assert str(scheduled_for).startswith("2026-06-16 05:15:00")
    assert house.export.rows("integrations_usage_daily")


def test_a_first_start_makes_the_tables(house: _House, tmp_path: Path) -> None:
    house.export.database_url = f"sqlite:///{tmp_path}/new.db"

    assert _attend(house.process()) is RunStatus.SUCCEEDED


def test_what_is_due_is_run_once_however_often_it_is_looked_at(house: _House) -> None:
    service = house.process()

    reports = []
    for _ in range(47):
        reports.append(service.attend())
        house.clock.advance(30 * _MINUTE)

    assert [each is not None for each in reports] == [True, *[False] * 46]
    assert house.pings.kinds == ["start", "success"]
    assert len({run for _, run in house.pings.sent}) == 1


def test_a_restarted_process_finds_the_run_done(house: _House) -> None:
    house.process().attend()
    house.clock.advance(_MINUTE)
    other = house.process()

    assert other.is_wanted()
    assert other.attend() is None
    assert not other.is_wanted()
    assert house.pings.kinds == ["start", "success"]


def test_the_next_due_instant_is_run_again(house: _House) -> None:
    service = house.process()
    service.attend()

    house.clock.set(NOW + _DAY - _MINUTE)
    assert not service.is_wanted()
    house.clock.set(NOW + _DAY)
    assert _attend(service) is RunStatus.SUCCEEDED
    assert house.runs("trigger") == [("schedule",), ("schedule",)]


def test_after_days_of_sleep_one_run_heals_all(house: _House) -> None:
    service = house.process()
    service.attend()

    house.clock.set(NOW + 9 * _DAY + 3 * _HOUR)
    assert _attend(service) is RunStatus.SUCCEEDED
    house.clock.advance(_HOUR)
    assert service.attend() is None

    assert len(house.runs("run_id")) == 2
    _assert_all_days_are_stored(house, date(2026, 5, 1), house.clock.now.date())


def test_a_schedule_that_was_never_due_wants_nothing(house: _House) -> None:
    house.export.extra += '\n[schedule]\ncron = "0 0 30 2 *"'
    service = house.process()

    assert not service.is_wanted()
    assert service.attend() is None
    assert house.runs("run_id") == []


# After a failure


def test_a_failed_run_is_tried_again_after_growing_pauses_as_one_run(house: _House) -> None:
    outage = house.export.sandbox.inject(_OUTAGE, times=None)
    service = house.process()
    tried = []
    for minutes in range(300):
        house.clock.set(NOW + minutes * timedelta(minutes=1, seconds=1))
        if service.attend() is not None:
            tried.append(minutes)
    house.export.sandbox.remove(outage)
    house.clock.set(NOW + 23 * _HOUR)
    assert _attend(service) is RunStatus.SUCCEEDED

    pauses = [late - early for early, late in itertools.pairwise(tried)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert house.runs("attempts", "status") == [(11, "succeeded")]


def test_a_restart_keeps_the_pause(house: _House) -> None:
    house.export.sandbox.inject(_OUTAGE, times=None)
    service = house.process()
    service.attend()
    house.clock.advance(_A_MINUTE_LATER)
    assert _attend(service) is RunStatus.FAILED

    house.clock.advance(_A_MINUTE_LATER)
    other = house.process()
    assert other.attend() is None
    assert not other.is_wanted()
    house.clock.advance(_A_MINUTE_LATER)
    assert _attend(other) is RunStatus.FAILED


def test_after_a_partial_run_only_what_failed_is_asked_for_again(house: _House) -> None:
    house.fail(house.uuids[0])
    service = house.process()
    assert _attend(service) is RunStatus.PARTIAL
    house.aliases()

    house.export.sandbox.clear_faults()
    house.clock.advance(_A_MINUTE_LATER)
    assert _attend(service) is RunStatus.SUCCEEDED

    assert house.aliases() == [3]
    assert house.runs("attempts", "status", "organizations", "organizations_failed") == [
        (2, "succeeded", 2, 0)
    ]
    assert house.pings.kinds == ["start", "fail", "start", "success"]


def test_a_run_stays_partial_while_the_same_organization_fails(house: _House) -> None:
    house.fail(house.uuids[0])
    service = house.process()
    service.attend()
    for _ in range(3):
        house.aliases()
        house.clock.advance(_HOUR)
        assert service.attend() is not None
        assert set(house.aliases()) == {3}

    assert house.runs("attempts", "status") == [(4, "partial")]
    assert house.told_of("export of") == []


def test_a_failed_list_of_all_organizations_is_asked_for_again(house: _House) -> None:
    house.export.organizations = None
    service = house.process()
    service.attend()
    house.clock.set(NOW + _DAY)
    house.export.sandbox.inject(_OUTAGE, times=1)
    assert _attend(service) is RunStatus.PARTIAL

    house.clock.advance(_A_MINUTE_LATER)
    assert _attend(service) is RunStatus.SUCCEEDED


def test_what_failed_and_left_the_configuration_meanwhile_fails_no_more(house: _House) -> None:
    house.fail(house.uuids[0])
    service = house.process()
    assert _attend(service) is RunStatus.PARTIAL

    house.export.organizations = house.uuids[1:]
    service.setup = house.setup()
    house.clock.advance(_A_MINUTE_LATER)
    assert _attend(service) is RunStatus.SUCCEEDED


def test_while_another_run_goes_on_it_looks_again_after_a_minute(house: _House) -> None:
    service = house.process()
    with hold_run_lock(house.export.engine):
        assert service.attend() is None
        assert not service.is_wanted()
    house.clock.advance(59 * _MINUTE / 60)
    assert not service.is_wanted()
    house.clock.advance(timedelta(seconds=1))

    assert _attend(service) is RunStatus.SUCCEEDED
    assert house.messages.titles == []


def test_a_monitor_hears_of_no_start_of_a_run_that_another_process_does(house: _House) -> None:
    service = house.process()
    with hold_run_lock(house.export.engine):
        service.attend()

    assert house.pings.sent == []


def test_a_stopped_run_is_gone_on_with_at_the_next_start(house: _House) -> None:
    class _Stops(Silent):
        def planned(self, organizations: int) -> None:  # noqa: ARG002 # the protocol's
            house.stop.make()

    assert house.process(lambda: nullcontext(_Stops())).attend() is None
    assert house.runs("status") == [("interrupted",)]
    assert house.messages.titles == []

    house.stop = StopRequest()
    house.clock.advance(timedelta(seconds=1))
    assert _attend(house.process()) is RunStatus.SUCCEEDED
    assert house.runs("attempts", "status") == [(2, "succeeded")]


# Whoever should know


def test_a_failed_run_is_told_once_across_attempts_and_restarts(house: _House) -> None:
    house.export.sandbox.inject(_OUTAGE, times=None)
    for _ in range(4):
        assert _attend(house.process()) is RunStatus.FAILED
        house.clock.advance(_HOUR)

    assert house.messages.titles == ["The usage export of 2026-06-16 05:15 UTC failed"]
    assert house.pings.kinds == ["start", "fail"] * 4


def test_a_message_that_does_not_arrive_is_sent_again(house: _House) -> None:
    house.export.sandbox.inject(_OUTAGE, times=None)
    service = house.process()
    house.messages.arrives = False
    service.attend()
    house.clock.advance(_HOUR)
    house.messages.arrives = True
    for _ in range(2):
        assert service.attend() is not None
        house.clock.advance(_HOUR)

    assert len(house.messages.titles) == 1


def test_an_organization_that_fails_for_three_days_is_told_of_once_in_a_row_of_failures(
    house: _House,
) -> None:
    failing = house.export.sandbox.organizations[0]
    house.process().attend()
    told = []
    for days in range(1, 10):
        house.clock.set(NOW + days * _DAY)
        if days == 5:
            house.export.sandbox.clear_faults()
        elif days in {1, 6}:
            house.fail(failing.uuid)
        before = len(house.messages.titles)
        house.process().attend()
        told += [days] * (len(house.messages.titles) - before)

    assert told == [3, 8]
    assert house.messages.titles == [f"No usage of {failing.name} for 3 days"] * 2


def test_usage_is_told_of_once_for_each_share_and_month(house: _House) -> None:
    house.export.extra = ""
    organization = next(each for each in house.export.sandbox.organizations if each.limit)
    house.export.organizations = [organization.uuid]
    assert organization.limit
    shares = [0.5, 0.79, 0.8, 0.9, 1.0, 1.2, 1.3]
    told = []
    for days, share in enumerate(shares):
        house.clock.set(NOW + days * _DAY)
        house.export.sandbox.declare_total(
            organization.uuid, "current_month", -int(-organization.limit * share // 1)
        )
        house.process().attend()
        told.append(len(house.messages.titles))
    house.clock.set(datetime(2026, 7, 2, 5, 15, tzinfo=UTC))
    house.process().attend()

    assert told == [0, 0, 1, 1, 2, 2, 2]
    assert [title.removeprefix(organization.name or "") for title in house.messages.titles] == [
        " has used 80% of its tasks",
        " has used 100% of its tasks",
        " has used 100% of its tasks",
    ]
    assert "in the month from 2026-07-01" in house.messages.bodies[-1]


# What must not stop the next attempt


@pytest.mark.parametrize("is_down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("broken", ["pings", "messages"])
def test_broken_notices_stop_neither_this_run_nor_the_next(house: _House, broken: str, is_down: bool) -> None:  # noqa: FBT001 # a parameter
    if is_down:
        house.export.sandbox.inject(_OUTAGE, times=1)
    if broken == "pings":
        house.pings = _BrokenPings()
    else:
        house.messages = _BrokenMessages()
    service = house.process()

    service.attend()
    house.clock.advance(_HOUR)
    service.attend()
    house.clock.set(NOW + _DAY)
    service.attend()

    assert house.runs("status") == [("succeeded",)] * 2


@pytest.mark.parametrize("moment", ["enter", "planned", "settled", "exit"])
def test_a_broken_display_is_told_and_does_not_stop_the_next_attempt(house: _House, moment: str) -> None:
    broken = [True]

    def break_at(here: str) -> None:
        if broken and here == moment:
            broken.clear()
            raise RuntimeError("the display is broken")

    class _Breaks(Silent):
        def planned(self, organizations: int) -> None:  # noqa: ARG002 # the protocol's
            break_at("planned")

        def settled(self, organizations: int, outcomes: object) -> None:  # noqa: ARG002 # the protocol's
            break_at("settled")

    @contextmanager
    def observe() -> Iterator[Observer]:
        break_at("enter")
        yield _Breaks()
        break_at("exit")

    service = house.process(observe)
    assert service.attend() is None
    assert house.messages.titles == ["The usage export of 2026-06-16 05:15 UTC failed"]
    assert "the display is broken" in house.messages.bodies[0]

    house.clock.advance(_A_MINUTE_LATER)
    service.attend()
    assert house.runs("status") == [("succeeded",)]


@pytest.mark.parametrize(
    "address",
    ["sqlite:///{folder}", "sqlite:///{folder}/missing/usage.db", "postgresql://nobody@127.0.0.1:1/none"],
)
def test_an_unreachable_database_is_told_once_and_the_next_attempt_works(
    house: _House, tmp_path: Path, address: str
) -> None:
    service = house.process()
    back = service.setup
    service.setup = house.setup(build_engine(parse_url(address.format(folder=tmp_path))))
    for _ in range(3):
        assert service.attend() is None
        house.clock.advance(_MINUTE)
    assert house.messages.titles == ["The usage export of 2026-06-16 05:15 UTC failed"]

    service.setup = back
    assert _attend(service) is RunStatus.SUCCEEDED
    assert len(house.messages.titles) == 1


# Forty days


def _assert_all_days_are_stored(house: _House, first: date, last: date) -> None:
    stored = house.export.rows("integrations_usage_daily", "organization_uuid", "date", "usage")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    told = [
        (uuid, day.isoformat(), usage)
        for uuid in house.uuids
        for day in days
        if (usage := house.export.sandbox.usage_on(uuid, day)) is not None
    ]
    assert [(uuid, str(day), usage) for uuid, day, usage in stored] == sorted(told, key=repr)


def test_forty_days_with_outages_lose_no_day_and_tell_each_trouble_once(
    house: _House, tmp_path: Path
) -> None:
    start = datetime(2026, 5, 25, 4, 0, tzinfo=UTC)
    outages = {8: "api", 9: "api", 10: "api", 15: "database", 16: "database", 20: "api", 21: "asleep"}
    # Over the end of June.
    outages |= dict.fromkeys(range(33, 38), "asleep")
    expected = {
        f"The usage export of {start + day * _DAY:%Y-%m-%d} 05:15 UTC failed"
        for day, trouble in outages.items()
        if trouble != "asleep"
    }
    service = house.process()
    reachable = service.setup
    unreachable = house.setup(build_engine(parse_url(f"sqlite:///{tmp_path}")))
    for day in range(40):
        trouble = outages.get(day)
        house.export.sandbox.clear_faults()
        if trouble == "api":
            house.export.sandbox.inject(_OUTAGE, times=None)
        if day % 3 == 0 and trouble is None:
            service = house.process()
        service.setup = unreachable if trouble == "database" else reachable
        for hour in range(2, 24):
            house.clock.set(start + day * _DAY + hour * _HOUR)
            if trouble != "asleep":
                service.attend()

    # Of the last day, what its run was told.
    house.clock.set(start + 39 * _DAY)
    _assert_all_days_are_stored(house, date(2026, 4, 1), house.clock.now.date())
    titles = house.messages.titles
    assert len(titles) == len(set(titles))
    assert set(house.told_of("The usage export")) == expected
    names = {each.name for each in house.export.sandbox.organizations if each.uuid in house.uuids}
    assert set(house.told_of("No usage")) == {f"No usage of {name} for 3 days" for name in names}
    assert house.runs("status").count(("succeeded",)) == 40 - len(outages)

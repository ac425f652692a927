"""Asking asynchronous work to stop, from another thread."""

import asyncio
import threading

import pytest

from jobs.errors import RunInterruptedError
from jobs.stopping import StopRequest, run_until_stopped


def test_work_that_nobody_stops_ends_by_itself() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("all")

    run_until_stopped(work(), StopRequest())

    assert done == ["all"]


def test_an_error_of_the_work_passes_through() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        run_until_stopped(work(), StopRequest())


def test_work_that_starts_after_the_request_is_given_up() -> None:
    stop, done = StopRequest(), []
    stop.make()

    async def work() -> None:
        await asyncio.sleep(5)
        done.append("all")

    with pytest.raises(RunInterruptedError, match="asked to stop"):
        run_until_stopped(work(), stop)

    assert done == []


def test_work_is_given_up_in_the_middle_but_not_what_it_gave_to_a_thread() -> None:
    stop, begun, may_end, steps = StopRequest(), threading.Event(), threading.Event(), []

    def commit() -> None:
        begun.set()
        may_end.wait(5)
        steps.append("committed")

    async def work() -> None:
        await asyncio.to_thread(commit)
        await asyncio.sleep(5)
        steps.append("all")

    def ask() -> None:
        begun.wait(5)
        stop.make()
        threading.Timer(0.1, may_end.set).start()

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(RunInterruptedError):
        run_until_stopped(work(), stop)

    assert steps == ["committed"]
    asking.join()


def test_a_request_after_the_work_is_over_troubles_nobody() -> None:
    stop = StopRequest()

    run_until_stopped(asyncio.sleep(0), stop)
    stop.make()

    assert stop.is_made


def test_whoever_waits_learns_of_the_request_at_once() -> None:
    stop, told = StopRequest(), []
    stop.add(lambda: told.append("early"))
    assert not stop.wait(0)

    threading.Timer(0.05, stop.make).start()

    assert stop.wait(5)
    assert stop.is_made
    stop.add(lambda: told.append("late"))
    assert sorted(told) == ["early", "late"]


def test_a_listener_that_was_removed_hears_nothing() -> None:
    stop, told = StopRequest(), []

    def listener() -> None:
        told.append("told")

    stop.add(listener)
    stop.remove(listener)
    stop.remove(listener)
    stop.make()

    assert told == []

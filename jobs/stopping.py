"""Asking a run to stop: from a signal or another thread, and soon, but not in the middle of a commit."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from jobs.errors import RunInterruptedError


class StopRequest:
    """Can be made once, from any thread; whoever waits for it learns of it at once."""

    def __init__(self) -> None:
        self._made = threading.Event()
        self._listeners: set[Callable[[], object]] = set()
        self._turn = threading.Lock()

    @property
    def is_made(self) -> bool:
        """Whether somebody asked to stop."""
        return self._made.is_set()

    def make(self) -> None:
        """Asks to stop."""
        with self._turn:
            self._made.set()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, seconds: float) -> bool:
        """Waits until somebody asks to stop, at most so long; returns whether somebody did."""
        return self._made.wait(seconds)

    def add(self, listener: Callable[[], object]) -> None:
        """Calls the listener when somebody asks to stop, in whose thread that is; at once if it is late."""
        with self._turn:
            self._listeners.add(listener)
            late = self._made.is_set()
        if late:
            listener()

    def remove(self, listener: Callable[[], object]) -> None:
        """Forgets a listener."""
        with self._turn:
            self._listeners.discard(listener)


def run_until_stopped(work: Coroutine[Any, Any, None], stop: StopRequest) -> None:
    """Runs asynchronous work in this thread, and gives it up when asked to stop.

    What the work has given to threads, such as a transaction, is ended before this returns.

    Raises:
        RunInterruptedError: The work was given up.
    """

    async def stoppable() -> None:
        loop = asyncio.get_running_loop()
        working = asyncio.create_task(work)

        def give_up() -> None:
            loop.call_soon_threadsafe(working.cancel)

        stop.add(give_up)
        try:
            await working
        finally:
            stop.remove(give_up)

    try:
        asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise RunInterruptedError("the run was asked to stop; the next one goes on with the rest") from None

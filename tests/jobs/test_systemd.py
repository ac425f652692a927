"""What systemd is told, read from a real socket as systemd reads it."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.systemd import Supervisor


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket, and its name as NOTIFY_SOCKET gives it."""
    name = f"{tmp_path}/notify" if request.param == "path" else f"@usage-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        listener.settimeout(0)
        yield listener, name


def _read(listener: socket.socket) -> str:
    return listener.recv(4096).decode()


def test_each_state_is_one_message(listening: tuple[socket.socket, str]) -> None:
    listener, name = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"})

    supervisor.ready("next run due 2026-06-17 05:15 UTC")
    supervisor.alive()
    supervisor.stopping()

    assert _read(listener) == "READY=1\nSTATUS=next run due 2026-06-17 05:15 UTC"
    assert _read(listener) == "WATCHDOG=1"
    assert _read(listener) == "STOPPING=1"


def test_reloading_is_told_with_the_monotonic_time(listening: tuple[socket.socket, str]) -> None:
    listener, name = listening
    before = time.monotonic_ns() // 1000

    Supervisor({"NOTIFY_SOCKET": name}).reloading()

    first, second = _read(listener).split("\n")
    assert first == "RELOADING=1"
    key, _, value = second.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("environ", "is_told"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": ""}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({"WATCHDOG_USEC": "30000000"}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, False),
    ],
    ids=["absent", "empty", "zero", "asked for", "of this process", "of another process"],
)
def test_the_watchdog_hears_only_if_it_asked_this_process(
    tmp_path: Path, environ: dict[str, str], *, is_told: bool
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        listener.settimeout(0)

        Supervisor({"NOTIFY_SOCKET": f"{tmp_path}/notify", **environ}).alive()

        if is_told:
            assert _read(listener) == "WATCHDOG=1"
        else:
            with pytest.raises(BlockingIOError):
                listener.recv(1)


@pytest.mark.parametrize("name", ["", "/nowhere/notify", "@nobody-listens-here", "/" + "x" * 300])
def test_nobody_who_listens_is_no_error(name: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})

    supervisor.ready("fine")
    supervisor.reloading()
    supervisor.alive()
    supervisor.stopping()


def test_a_socket_that_vanishes_is_no_error(tmp_path: Path) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": f"{tmp_path}/notify"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{tmp_path}/notify")
        supervisor.ready("fine")
        assert _read(listener).startswith("READY=1")

    supervisor.stopping()

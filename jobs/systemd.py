"""Telling systemd how the service is: started, reloading, stopping, alive.

The protocol is a datagram to the socket named in ``NOTIFY_SOCKET`` (systemd's sd_notify(3)).
"""

import os
import socket
import time
from collections.abc import Mapping

_MICROSECONDS = 1_000_000


class Supervisor:
    """Whoever started the service, if it wants to be told; otherwise nobody is."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A name in the abstract namespace is written with an @ for its first byte.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_seconds = int(environ.get("WATCHDOG_USEC", "0") or 0) / _MICROSECONDS

    def ready(self, status: str) -> None:
        """The service is up."""
        self._notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The service reads its configuration anew, and says ``ready`` when it has."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service is on its way down."""
        self._notify("STOPPING=1")

    def alive(self) -> None:
        """The service is alive; systemd restarts it when it has not heard so for WatchdogSec."""
        if self._watchdog and self._watchdog_seconds:
            self._notify("WATCHDOG=1")

    def _notify(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as talking:
            try:
                talking.connect(self._address)
                talking.sendall("\n".join(lines).encode())
            except OSError:
                # Whoever wanted to know is gone; that is no reason to stop working.
                return

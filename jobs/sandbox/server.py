"""uvicorn in a thread that starts at once and stops at once."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# The name under which a request's scope holds its connection, for faults beneath HTTP.
TRANSPORT = "jobs.sandbox.transport"

# uvicorn renews the Date header when it is told of ten tenths of a second.
TICKS_A_SECOND = 10

# Clients may rest between requests without finding the connection closed.
KEEP_ALIVE_SECONDS = 75

BACKLOG = 1024


class _Server(uvicorn.Server):
    """uvicorn's server, waiting for an event where uvicorn polls, and without its patience."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.is_up.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += TICKS_A_SECOND
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        # One turn of the loop lets the connections learn that they are gone.
        await asyncio.sleep(0)

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)


class ServerThread:
    """Serves an ASGI application on a socket, from now until it is stopped.

    The application finds the connection of a request in its scope's extensions, as `TRANSPORT`.

    Args:
        app: The application.
        host: The address to listen on.
        port: The port, or 0 for any that is free; the attribute `port` says which it became.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._socket = _listener(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(_config(self._with_transport))
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        self._server.is_up.wait()

    def stop(self) -> None:
        """Stop now; requests under way lose their connections."""
        self._server.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._server.run([self._socket])
        finally:
            # Whoever waits for a server that could not start learns so from its first request.
            self._server.is_up.set()

    async def _with_transport(self, scope: Scope, receive: Receive, send: Send) -> None:
        for connection in self._server.server_state.connections:
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                scope["extensions"] = {TRANSPORT: connection.transport}
        await self._app(scope, receive, send)


def _listener(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio leaves Nagle's algorithm on for connections of a
    # listener without: each answer would then take 40 milliseconds.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        # uvicorn reports broken responses as errors, and the sandbox breaks them on purpose.
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


@contextlib.contextmanager
def stop_signals(stopped: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set an event, inside the `with`; only from the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

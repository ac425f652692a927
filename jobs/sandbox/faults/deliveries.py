"""Responses whose bytes go wrong on their way.

A reset, a body cut off and slow headers need a connection beneath; driven without a server, the
application raises `ConnectionResetError` in their place.
"""

import asyncio
import contextlib
import gzip
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from jobs.sandbox.faults.fault import Ordinary, WireFault
from jobs.sandbox.server import TRANSPORT

JSON = "application/json; charset=utf-8"
MEBIBYTE = 1024 * 1024

# SO_LINGER on, for zero seconds: closing sends a reset instead of an orderly end.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

# What was sent before a reset should have arrived: a reset takes it back from a peer's buffer.
SECONDS_BEFORE_RESET = 0.02


@dataclass(frozen=True)
class Hang(WireFault):
    """No answer for a while, then the ordinary one; it ends when the server stops.

    Attributes:
        seconds: How long.
    """

    seconds: float

    async def respond(self, ordinary: Ordinary) -> Response:
        """Wait, then answer."""
        await asyncio.sleep(self.seconds)
        return await ordinary()


@dataclass(frozen=True)
class SlowBody(WireFault):
    """The ordinary response, whose body drips.

    Attributes:
        pause_seconds: Between two pieces.
        piece_bytes: Of each piece.
    """

    pause_seconds: float
    piece_bytes: int = 1

    async def respond(self, ordinary: Ordinary) -> Response:
        """Answer slowly."""
        response = await ordinary()
        body = self._drip(bytes(response.body))
        return StreamingResponse(body, response.status_code, dict(response.headers))

    async def _drip(self, body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), self.piece_bytes):
            yield body[at : at + self.piece_bytes]
            await asyncio.sleep(self.pause_seconds)


@dataclass(frozen=True)
class EndlessBody(WireFault):
    """A JSON body that never comes to its value: spaces without end."""

    piece_bytes: int = 65_536

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send spaces until the client leaves or the server stops."""
        return StreamingResponse(self._spaces(), headers={"Content-Type": JSON})

    async def _spaces(self) -> AsyncIterator[bytes]:
        while True:
            yield b" " * self.piece_bytes
            await asyncio.sleep(0)


@dataclass(frozen=True)
class GzipBomb(WireFault):
    """A small body that inflates to a large one: spaces before `{}`, which is valid JSON.

    Attributes:
        mebibytes: How much it inflates to.
    """

    mebibytes: int = 1024

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send the bomb, compressed on the way, so that it costs little if the client leaves early."""
        return StreamingResponse(self._pieces(), headers={"Content-Type": JSON, "Content-Encoding": "gzip"})

    async def _pieces(self) -> AsyncIterator[bytes]:
        compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        for _ in range(self.mebibytes):
            yield compressor.compress(b" " * MEBIBYTE)
            await asyncio.sleep(0)
        yield compressor.compress(b"{}") + compressor.flush()


@dataclass(frozen=True)
class InvalidJson(WireFault):
    """The first half of the ordinary body, sent as if it were all."""

    async def respond(self, ordinary: Ordinary) -> Response:
        """Send half."""
        body = _plain_body(await ordinary())
        return Response(body[: len(body) // 2], headers={"Content-Type": JSON})


@dataclass(frozen=True)
class InvalidUtf8(WireFault):
    """JSON with a string that is no UTF-8."""

    async def respond(self, _ordinary: Ordinary) -> Response:
        """Send it."""
        return Response(b'{"data":{"name":"S\xe3o Paulo \xff"}}', headers={"Content-Type": JSON})


@dataclass(frozen=True)
class CutOff(WireFault):
    """The ordinary response, whose connection closes halfway through the body."""

    async def respond(self, ordinary: Ordinary) -> Response:
        """Send half of what Content-Length promises."""
        return _CutOffResponse(await ordinary())


@dataclass(frozen=True)
class ConnectionReset(WireFault):
    """A connection that is reset.

    Attributes:
        mid_answer: Whether half of the ordinary answer was sent before, or nothing.
    """

    mid_answer: bool = True

    async def respond(self, ordinary: Ordinary) -> Response:
        """Reset the connection."""
        return _ResetResponse(await ordinary(), mid_answer=self.mid_answer)


@dataclass(frozen=True)
class SlowHeaders(WireFault):
    """The ordinary response, whose headers drip one line at a time.

    Attributes:
        pause_seconds: Between two lines.
    """

    pause_seconds: float

    async def respond(self, ordinary: Ordinary) -> Response:
        """Answer slowly."""
        return _SlowHeadersResponse(await ordinary(), self.pause_seconds)


class _CutOffResponse(Response):
    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code, dict(whole.headers))

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        _transport_of(scope)
        await _send_half(self, send)


class _ResetResponse(_CutOffResponse):
    def __init__(self, whole: Response, *, mid_answer: bool) -> None:
        super().__init__(whole)
        self._mid_answer = mid_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport_of(scope)
        if self._mid_answer:
            await _send_half(self, send)
            await asyncio.sleep(SECONDS_BEFORE_RESET)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
        await _until_disconnected(receive)


class _SlowHeadersResponse(_CutOffResponse):
    def __init__(self, whole: Response, pause_seconds: float) -> None:
        super().__init__(whole)
        self._pause_seconds = pause_seconds

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        transport = _transport_of(scope)
        for line in self._head_lines():
            transport.write(line + b"\r\n")
            await asyncio.sleep(self._pause_seconds)
        transport.write(bytes(self.body))
        transport.close()
        await _until_disconnected(receive)

    def _head_lines(self) -> list[bytes]:
        status = HTTPStatus(self.status_code)
        headers = [name + b": " + value for name, value in self.raw_headers]
        return [f"HTTP/1.1 {status} {status.phrase}".encode(), *headers, b"connection: close", b""]


async def _send_half(response: Response, send: Send) -> None:
    # Returning without a last piece of the body makes uvicorn close the connection.
    start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    await send(start)
    half = bytes(response.body[: len(response.body) // 2])
    await send({"type": "http.response.body", "body": half, "more_body": True})


async def _until_disconnected(receive: Receive) -> None:
    # The server would answer for an application that returns before the connection is gone. The
    # request was read to its end, so nothing else is left to be received.
    await receive()


def _transport_of(scope: Scope) -> asyncio.Transport:
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if not isinstance(transport, asyncio.Transport):
        raise ConnectionResetError("This fault needs a connection: start the sandbox as a server.")
    return transport


def _plain_body(response: Response) -> bytes:
    with contextlib.suppress(gzip.BadGzipFile):
        return gzip.decompress(response.body)
    return bytes(response.body)

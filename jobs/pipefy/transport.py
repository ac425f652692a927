"""The network, with bounds: no answer is larger than agreed, packed or unpacked."""

import zlib
from collections.abc import AsyncIterator

import httpx

# An answer of 300 fields with 31 days each is about 0.6 MB.
LARGEST_ANSWER_BYTES = 32 * 1024 * 1024

_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class AnswerTooLargeError(httpx.TransportError):
    """The body went past the bound; the rest was not read."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Unpacks bodies itself, a small piece at a time, and stops at a bound.

    httpx unpacks whatever a piece holds at once, so that 64 kB of gzip can become 64 MB.

    Raises:
        AnswerTooLargeError: While a body is read that is larger than the bound.
        httpx.DecodingError: While a body is read that is not gzip as it says, or is cut off.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, *, largest_bytes: int = LARGEST_ANSWER_BYTES) -> None:
        self._inner = inner
        self._largest_bytes = largest_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request; the response's body is bounded and unpacked."""
        request.headers["Accept-Encoding"] = "gzip"
        response = await self._inner.handle_async_request(request)
        encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
        return httpx.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_BoundedStream(response, encoding, self._largest_bytes),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, encoding: str, largest_bytes: int) -> None:
        self._response = response
        self._encoding = encoding
        self._left = largest_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding not in {"identity", "gzip", "x-gzip"}:
            raise httpx.DecodingError(f"the body is packed as {self._encoding!r}, which was not asked for")
        packed = self._response.aiter_raw()
        async for piece in packed if self._encoding == "identity" else _unpack(packed):
            self._left -= len(piece)
            if self._left < 0:
                raise AnswerTooLargeError("the answer is larger than agreed")
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


async def _unpack(packed: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        async for piece in packed:
            waiting = piece
            while waiting and not unpacker.eof:
                yield unpacker.decompress(waiting, _PIECE_BYTES)
                waiting = unpacker.unconsumed_tail
    except zlib.error as exc:
        raise httpx.DecodingError(f"the body is no gzip: {exc}") from exc
    if not unpacker.eof:
        raise httpx.DecodingError("the gzip body is cut off")

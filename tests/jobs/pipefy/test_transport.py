import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator

import httpx
import pytest

from jobs.pipefy.transport import AnswerTooLargeError, BoundedTransport

TEXT = b"history " * 50_000


def fetch(
    pieces: Iterable[bytes], encoding: str | None = None, *, largest_bytes: int = 10**6
) -> httpx.Response:
    """Fetches a body that comes in pieces through a bounded transport."""

    async def send() -> httpx.Response:
        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        def answer(request: httpx.Request) -> httpx.Response:
            assert request.headers["Accept-Encoding"] == "gzip"
            headers = {"Content-Encoding": encoding} if encoding else {}
            return httpx.Response(200, headers=headers, content=body())

        transport = BoundedTransport(httpx.MockTransport(answer), largest_bytes=largest_bytes)
        async with httpx.AsyncClient(transport=transport) as http:
            return await http.get("https://api.example/")

    return asyncio.run(send())


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("encoding", [None, "identity"])
def test_a_plain_body_arrives_as_it_is(encoding: str | None) -> None:
    assert fetch(in_pieces(TEXT, 1000), encoding).content == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_gzip_body_is_unpacked_however_it_is_cut(encoding: str, size: int) -> None:
    assert fetch(in_pieces(gzip.compress(TEXT, mtime=0), size), encoding).content == TEXT


def test_an_unpacked_answer_no_longer_says_that_it_is_packed() -> None:
    assert "Content-Encoding" not in fetch([gzip.compress(b"{}", mtime=0)], "gzip").headers


def test_what_follows_the_gzip_is_ignored() -> None:
    assert fetch([gzip.compress(b"{}", mtime=0) + b"rest", b"more"], "gzip").content == b"{}"


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_body_may_be_exactly_as_large_as_agreed(encoding: str | None) -> None:
    body = gzip.compress(TEXT, mtime=0) if encoding else TEXT
    assert len(fetch([body], encoding, largest_bytes=len(TEXT)).content) == len(TEXT)


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_body_larger_than_agreed_is_an_error(encoding: str | None) -> None:
    body = gzip.compress(TEXT, mtime=0) if encoding else TEXT
    with pytest.raises(AnswerTooLargeError):
        fetch([body], encoding, largest_bytes=len(TEXT) - 1)


def test_a_body_is_not_read_beyond_the_bound() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1000)
            yield b"x" * 1000

    with pytest.raises(AnswerTooLargeError):
        fetch(endless(), largest_bytes=2500)
    assert len(taken) == 3


def test_a_small_piece_is_never_unpacked_to_a_large_one() -> None:
    body = gzip.compress(b" " * 64 * 1024 * 1024, compresslevel=1, mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLargeError):
            fetch([body], "gzip", largest_bytes=1024 * 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "encoding", "complaint"),
    [
        (b"plain", "gzip", "no gzip"),
        (gzip.compress(TEXT, mtime=0)[:-1], "gzip", "cut off"),
        (gzip.compress(TEXT, mtime=0)[:50], "gzip", "cut off"),
        (b"", "gzip", "cut off"),
        (b"\x1b\x00", "br", "packed as 'br'"),
        (b"", "gzip, gzip", "packed as 'gzip, gzip'"),
    ],
)
def test_a_body_that_is_not_packed_as_asked_is_an_error(body: bytes, encoding: str, complaint: str) -> None:
    with pytest.raises(httpx.DecodingError, match=complaint):
        fetch([body], encoding)

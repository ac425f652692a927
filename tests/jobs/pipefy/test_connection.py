import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs import __version__
from jobs.errors import CredentialsError
from jobs.sandbox import Sandbox
from tests.jobs.pipefy.asking import Asking, question_for


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that notes which addresses it is asked for, and leads nowhere."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_requests_say_what_sends_them(asking: Asking) -> None:
    asking.stats(question_for(asking.sandbox))
    for request in asking.sandbox.requests:
        assert request.headers["user-agent"] == f"pipefy-usage-export/{__version__}"
        assert request.headers["accept-encoding"] == "gzip"


def test_an_account_may_have_its_own_token_endpoint(asking: Asking) -> None:
    with Sandbox(seed=8) as elsewhere:
        asking.account = {"token_url": elsewhere.token_url}
        # The other's token opens nothing here.
        with pytest.raises(CredentialsError):
            asking.usage([question_for(asking.sandbox)])
        assert (elsewhere.token_requests, elsewhere.graphql_requests) == (2, 0)
    assert asking.sandbox.token_requests == 0


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_of_the_environment_is_obeyed(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with proxy() as (address, asked):
        monkeypatch.setenv(name, address)
        with pytest.raises(CredentialsError):
            asking.usage([question_for(asking.sandbox)])
    assert asked == [asking.sandbox.token_url]
    assert asking.sandbox.requests == ()


def test_an_exception_from_the_proxy_is_obeyed(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy() as (address, asked):
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        asking.stats(question_for(asking.sandbox))
    assert asked == []


def test_an_address_that_nobody_listens_at_is_named(asking: Asking) -> None:
    asking.pipefy = {"token_url": "http://127.0.0.1:9/oauth/token"}
    error = asking.failure(question_for(asking.sandbox))
    assert error.code == "UNREACHABLE"
    assert "http://127.0.0.1:9/oauth/token" in str(error)

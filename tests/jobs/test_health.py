"""The health port, asked over real connections."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from jobs.errors import ConfigurationError
from jobs.health import Health, serve_health


@dataclass
class Probed:
    """A service whose state the test sets."""

    port: int = 0
    alive: Health = field(default_factory=Health)
    ready: Health = field(default_factory=Health)
    error: Exception | None = None

    def examine(self) -> Health:
        if self.error:
            raise self.error
        return self.alive

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=5)


@pytest.fixture(scope="module")
def serving() -> Iterator[Probed]:
    probed, registry = Probed(), CollectorRegistry()
    Counter("usage_runs", "Runs.", registry=registry).inc(3)
    with serve_health(
        "127.0.0.1", 0, alive=probed.examine, ready=lambda: probed.ready, registry=registry
    ) as port:
        probed.port = port
        yield probed


@pytest.fixture
def probed(serving: Probed) -> Probed:
    """All is well."""
    serving.alive, serving.ready, serving.error = Health(), Health(), None
    return serving


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?verbose=1"])
def test_a_probe_without_complaints_is_answered_with_200(probed: Probed, path: str) -> None:
    answer = probed.get(path)

    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_complaints_are_a_503_that_tells_them_on_their_own_path_only(probed: Probed) -> None:
    probed.ready = Health(("the tables are old", "the café is shut"))

    answer = probed.get("/readyz")

    assert (answer.status_code, answer.text) == (503, "the tables are old\nthe café is shut\n")
    assert probed.get("/healthz").status_code == 200


def test_metrics_are_shown_as_prometheus_reads_them(probed: Probed) -> None:
    answer = probed.get("/metrics")

    assert answer.status_code == 200
    assert "usage_runs_total 3.0" in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metric", "/../etc/passwd"])
def test_another_path_is_a_404_that_names_those_there_are(probed: Probed, path: str) -> None:
    answer = probed.get(path)

    assert (answer.status_code, answer.text) == (404, "here are /healthz, /readyz, /metrics\n")


def test_a_probe_that_raises_is_a_503_without_its_message_and_the_next_one_works(probed: Probed) -> None:
    probed.error = RuntimeError("postgresql://user:hidden@db/usage")

    failed = probed.get("/healthz")
    probed.error = None

    assert failed.status_code == 503
    assert "RuntimeError" in failed.text
    assert "hidden" not in failed.text
    assert probed.get("/healthz").status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/metrics", 200), ("/other", 404)])
def test_head_is_answered_like_get_without_a_body(probed: Probed, path: str, status: int) -> None:
    head, get = probed.get(path, "HEAD"), probed.get(path)

    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.content))


def test_nothing_can_be_changed_through_the_port(probed: Probed) -> None:
    assert probed.get("/healthz", "POST").status_code == 501


def test_a_caller_that_hangs_up_or_talks_nonsense_troubles_nobody(
    probed: Probed, capfd: pytest.CaptureFixture[str]
) -> None:
    for said in (b"", b"GET /heal", b"\x16\x03\x01\n\r\n\r\n", b"GET /metrics HTTP/1.0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", probed.port)) as caller:
            # Closing resets the connection instead of ending it in order.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            caller.sendall(said)

    assert probed.get("/healthz").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_an_idle_caller_keeps_nobody_from_the_port(probed: Probed) -> None:
    with socket.create_connection(("127.0.0.1", probed.port)):
        assert probed.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_an_address_that_cannot_be_listened_on_is_an_error_of_the_configuration(
    probed: Probed, host: str
) -> None:
    with (
        pytest.raises(ConfigurationError, match=rf"health: cannot listen on {host}:{probed.port}"),
        serve_health(host, probed.port, alive=Health, ready=Health, registry=CollectorRegistry()),
    ):
        pass


def test_nobody_answers_when_the_block_is_over_and_the_port_can_be_taken_again() -> None:
    with serve_health("127.0.0.1", 0, alive=Health, ready=Health, registry=CollectorRegistry()) as port:
        address = f"http://127.0.0.1:{port}/healthz"
        assert httpx.get(address, trust_env=False).status_code == 200

    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)
    with serve_health("127.0.0.1", port, alive=Health, ready=Health, registry=CollectorRegistry()):
        assert httpx.get(address, trust_env=False).status_code == 200

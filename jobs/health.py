"""One small HTTP port: ``/healthz`` (alive), ``/readyz`` (fresh) and ``/metrics``."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from jobs.errors import ConfigurationError

# Whoever does not take an answer in this time is hung up on, so that idle callers cannot pile up.
_REQUEST_SECONDS = 10

log = structlog.get_logger()


@dataclass(frozen=True)
class Health:
    """The answer to a probe: all is well if there are no complaints."""

    complaints: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.complaints

    def __str__(self) -> str:
        return "ok" if self.is_well else "\n".join(self.complaints)


Probe = Callable[[], Health]


@contextmanager
def serve_health(
    host: str, port: int, *, alive: Probe, ready: Probe, registry: CollectorRegistry
) -> Iterator[int]:
    """Serves the port from threads of its own for as long as the block lasts, and gives its number.

    Whatever goes wrong in a probe is an answer 503; it never reaches the service.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """

    class Handler(_Handler):
        probes = {"/healthz": alive, "/readyz": ready}  # noqa: RUF012 # read only, made for one server
        metrics = registry

    try:
        server = _Server((host, port), Handler)
    except OSError as exc:
        raise ConfigurationError(
            f"health: cannot listen on {host}:{port}: {exc.strerror}; choose another port under [health]"
        ) from exc
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request: object, client_address: object) -> None:
        """A caller that hangs up is no trouble of ours."""
        log.debug("health.request_failed", client=str(client_address))


class _Handler(BaseHTTPRequestHandler):
    probes: dict[str, Probe]
    metrics: CollectorRegistry
    timeout = _REQUEST_SECONDS
    server_version = "pipefy-usage-export"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers a probe or shows the metrics."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, generate_latest(self.metrics), CONTENT_TYPE_LATEST)
        elif path in self.probes:
            health = self._examine(self.probes[path])
            status = HTTPStatus.OK if health.is_well else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, f"{health}\n".encode(), "text/plain; charset=utf-8")
        else:
            known = ", ".join((*self.probes, "/metrics"))
            self._answer(HTTPStatus.NOT_FOUND, f"here are {known}\n".encode(), "text/plain; charset=utf-8")

    do_HEAD = do_GET  # noqa: N815 # the library's name

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # the library's name
        """Probes come every few seconds; they are no news."""

    def _examine(self, probe: Probe) -> Health:
        try:
            return probe()
        except Exception as exc:  # noqa: BLE001 # a probe that fails is an answer, not a crash
            log.warning("health.probe_failed", path=self.path, error=type(exc).__name__)
            return Health((f"the probe itself failed: {type(exc).__name__}",))

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

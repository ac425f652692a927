"""The stand-in as Python sees it."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobs.sandbox.accounts import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from jobs.sandbox.app import GRAPHQL_PATH, TOKEN_PATH, build_app
from jobs.sandbox.book import UsageBook
from jobs.sandbox.clock import Clock
from jobs.sandbox.controls import Controls
from jobs.sandbox.limits import Limits
from jobs.sandbox.organizations import Organization, made_up_organizations
from jobs.sandbox.reception import Reception
from jobs.sandbox.server import ServerThread, stop_signals
from jobs.sandbox.tokens import LONGEST_LIFE_SECONDS, TokenOffice
from jobs.sandbox.world import Directory, World

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Where a client finds what listens on all addresses.
REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 nothing listens here


class Sandbox(Controls):
    """A stand-in for Pipefy's API.

    As a context manager it serves HTTP from a thread of its own; without, `app` is an ASGI
    application. Everything can be changed while it runs.

    Example:
        >>> with Sandbox(today=date(2026, 6, 15), organizations=3) as sandbox:
        ...     sandbox.graphql_url.startswith("http://127.0.0.1:")
        True

    Args:
        today: The date it believes in, UTC; None for the real one.
        organizations: How many to make up, or which there are.
        seed: Other seeds give other organizations and other usage.
        host: The address to listen on.
        port: The port, or 0 for any that is free.
        client_id: Of the default account, which is admin in every organization.
        client_secret: Of the default account.
        denied: In how many of the organizations, the last ones, the default account is a mere member.
        limits: What a query and an account may do.
        latency_seconds: What every GraphQL request takes.
        seconds_per_alias: What each root field takes besides.
        token_seconds: How long a new token lives.
        monotonic: The clock, in seconds, that tokens expire by and rates are counted by.
    """

    def __init__(  # noqa: PLR0913 each is a knob of its own, and has a default
        self,
        *,
        today: date | None = None,
        organizations: int | Sequence[Organization] = 25,
        seed: int = 7,
        host: str = "127.0.0.1",
        port: int = 0,
        client_id: str = DEFAULT_CLIENT_ID,
        client_secret: str = DEFAULT_CLIENT_SECRET,
        denied: int = 0,
        limits: Limits | None = None,
        latency_seconds: float = 0.0,
        seconds_per_alias: float = 0.0,
        token_seconds: float = LONGEST_LIFE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(organizations, int):
            organizations = made_up_organizations(organizations, seed)
        world = World(
            directory=Directory(organizations),
            accounts={},
            book=UsageBook(seed),
            clock=Clock(today),
            limits=limits or Limits(),
            latency_seconds=latency_seconds,
            seconds_per_alias=seconds_per_alias,
            token_seconds=token_seconds,
        )
        super().__init__(world, TokenOffice(seed, monotonic), Reception(), client_id)
        self.client_secret = client_secret
        self._address = host, port
        self._server: ServerThread | None = None
        self._stopped = threading.Event()
        self.app: ASGIApp = build_app(self._world, self._tokens, self._reception, monotonic)
        self.add_account(client_id, client_secret, self.organizations)
        for organization in self.organizations[::-1][:denied]:
            self.deny(organization.uuid)

    def start(self) -> None:
        """Listen and serve, in a thread of its own.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._stopped.clear()
        self._server = ServerThread(self.app, *self._address)

    def stop(self) -> None:
        """Stop now, whatever is under way, and end `wait`."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def wait(self) -> None:
        """Wait for SIGINT, SIGTERM or `stop`; only from the main thread."""
        with stop_signals(self._stopped):
            self._stopped.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Where it listens; a name that leads nowhere while it does not."""
        if self._server is None:
            return "http://sandbox.invalid"
        host, _ = self._address
        reachable = REACHABLE.get(host, host)
        return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{self._server.port}"

    @property
    def graphql_url(self) -> str:
        """Where queries go."""
        return self.base_url + GRAPHQL_PATH

    @property
    def token_url(self) -> str:
        """Where tokens are asked for."""
        return self.base_url + TOKEN_PATH

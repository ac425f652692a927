"""The two kinds of faults: those of the wire, and those of the GraphQL answer."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.responses import Response

from jobs.sandbox.engine import Answer

Ordinary: TypeAlias = Callable[[], Awaitable[Response]]


class WireFault(ABC):
    """Something wrong with a response: its status, its bytes, or how they travel."""

    @abstractmethod
    async def respond(self, ordinary: Ordinary) -> Response:
        """Return the response to send.

        Args:
            ordinary: Makes the response that would have been sent; need not be called.
        """


class AnswerFault(ABC):
    """Something wrong inside an otherwise good GraphQL response."""

    @abstractmethod
    def concerns(self, answer: Answer) -> bool:
        """Whether there is anything in the answer that this fault would spoil."""

    @abstractmethod
    def spoil(self, answer: Answer) -> None:
        """Change the answer in place."""


Fault: TypeAlias = WireFault | AnswerFault

"""Which fault meets which request."""

from dataclasses import dataclass
from threading import Lock

from jobs.sandbox.engine import Answer
from jobs.sandbox.faults.fault import AnswerFault, Fault, WireFault
from jobs.sandbox.record import Endpoint


@dataclass(eq=False)
class Injection:
    """A fault that was switched on.

    Attributes:
        fault: What goes wrong.
        endpoint: Where.
        times: How many more requests it meets, or None for every one until it is removed.
        after: How many matching requests pass before the first.
    """

    fault: Fault
    endpoint: Endpoint
    times: int | None
    after: int

    def is_due(self) -> bool:
        """Count a matching request, and say whether the fault meets it."""
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class FaultPlan:
    """The faults that are switched on, in the order in which they were.

    A request meets at most one fault of the wire, the first that is due, and then every fault of
    the answer that concerns it. Safe to change from another thread than the server's.
    """

    def __init__(self) -> None:
        self._injections: list[Injection] = []
        self._lock = Lock()

    def inject(
        self, fault: Fault, *, times: int | None = 1, after: int = 0, endpoint: Endpoint = "graphql"
    ) -> Injection:
        """Switch a fault on; what is returned can be removed."""
        injection = Injection(fault, endpoint, times, after)
        with self._lock:
            self._injections.append(injection)
        return injection

    def remove(self, injection: Injection) -> None:
        """Switch a fault off; one that was used up is off already."""
        with self._lock:
            if injection in self._injections:
                self._injections.remove(injection)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._injections.clear()

    def take(self, endpoint: Endpoint) -> WireFault | None:
        """Return the fault of the wire that meets the next request of an endpoint."""
        with self._lock:
            for injection in self._of(endpoint):
                if isinstance(injection.fault, WireFault) and injection.is_due():
                    return injection.fault
        return None

    def spoil(self, answer: Answer) -> None:
        """Let every fault of the answer that concerns this one change it."""
        with self._lock:
            for injection in self._of("graphql"):
                fault = injection.fault
                if isinstance(fault, AnswerFault) and fault.concerns(answer) and injection.is_due():
                    fault.spoil(answer)

    def _of(self, endpoint: Endpoint) -> list[Injection]:
        self._injections = [injection for injection in self._injections if injection.times != 0]
        return [injection for injection in self._injections if injection.endpoint == endpoint]

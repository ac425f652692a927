"""What happens to every request: it is written down, meets its fault, and is answered."""

from starlette.responses import Response

from jobs.sandbox.faults.fault import Ordinary
from jobs.sandbox.faults.plan import FaultPlan
from jobs.sandbox.record import ReceivedRequest, RequestLog


class Reception:
    """The way of every request.

    Attributes:
        plan: The faults that are switched on.
        log: The requests that came.
    """

    def __init__(self) -> None:
        self.plan = FaultPlan()
        self.log = RequestLog()

    async def respond(self, received: ReceivedRequest, ordinary: Ordinary) -> Response:
        """Return the response to send: the ordinary one, or what a fault makes of it.

        Its status is written down before it is sent, so whoever has the answer finds it in the log.
        """
        answered = self.log.received(received)
        fault = self.plan.take(received.endpoint)
        response = await (fault.respond(ordinary) if fault else ordinary())
        answered(int(response.status_code))
        return response

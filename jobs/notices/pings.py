"""Pings, as healthchecks.io defines them: a monitor that hears nothing raises the alarm itself."""

import httpx
import structlog

# A ping tells of a run; it must never hold one up.
_SECONDS = 5.0
_LONGEST_BODY = 10_000

log = structlog.get_logger()


class Pings:
    """Pings an address at a run's start and end; without an address, nothing happens.

    Args:
        address: The check's own address, which is as good as a password and never logged.
    """

    def __init__(self, address: str | None) -> None:
        self._address = (address or "").rstrip("/")

    def start(self, run: str) -> bool | None:
        """A run has started."""
        return self._ping("/start", run, "")

    def success(self, run: str, summary: str) -> bool | None:
        """It has exported every organization."""
        return self._ping("", run, summary)

    def fail(self, run: str, summary: str) -> bool | None:
        """It has failed, for some organizations or for all."""
        return self._ping("/fail", run, summary)

    def _ping(self, path: str, run: str, body: str) -> bool | None:
        """Whether the ping arrived; None without an address."""
        if not self._address:
            return None
        try:
            answer = httpx.post(
                f"{self._address}{path}",
                params={"rid": run},
                content=body[:_LONGEST_BODY].encode(),
                timeout=_SECONDS,
            )
            answer.raise_for_status()
        except httpx.HTTPStatusError as exc:
            log.warning("notices.ping_failed", path=path or "/", status=exc.response.status_code)
            return False
        except Exception as exc:  # noqa: BLE001 # an address or a certificate is wrong in many ways, and none may stop a run
            log.warning("notices.ping_failed", path=path or "/", error=type(exc).__name__)
            return False
        return True

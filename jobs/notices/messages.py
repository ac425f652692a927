"""Messages to people, through whatever service their addresses name."""

from collections.abc import Sequence
from typing import Any

import structlog

from jobs.errors import ConfigurationError

log = structlog.get_logger()


class Messages:
    """Sends a message to every address.

    The addresses are Apprise's (``slack://``, ``mailto://``, ``msteams://``, ``json://`` and a hundred more);
    they hold secrets and are never logged.

    Args:
        addresses: Where messages go; none of them means nowhere.

    Raises:
        ConfigurationError: An address cannot be read, or the extra ``alerts`` is not installed.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._apprise = _build(addresses) if addresses else None

    def send(self, title: str, body: str) -> bool | None:
        """Whether every address took the message; None if there is none."""
        if self._apprise is None:
            return None
        try:
            taken = bool(self._apprise.notify(title=title, body=body))
        except Exception as exc:  # noqa: BLE001 # a hundred services fail in as many ways, and none may stop a run
            log.warning("notices.message_failed", title=title, error=type(exc).__name__)
            return False
        if not taken:
            log.warning("notices.message_failed", title=title)
        return taken


def _build(addresses: Sequence[str]) -> Any:  # noqa: ANN401 # an extra without types
    try:
        import apprise  # noqa: PLC0415 # an extra, and slow to import
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            "notices: messages need another package; run: pip install 'pipefy-usage-export[alerts]'"
        ) from exc
    built = apprise.Apprise()
    for number, address in enumerate(addresses, start=1):
        if not built.add(address):
            raise ConfigurationError(
                f"notices: address {number} of {len(addresses)} is none that Apprise knows; "
                "see its list of services for how each is written"
            )
    return built

"""Wiring of the service: kept apart, so that a single run need not import it."""

from collections.abc import Mapping
from pathlib import Path

from jobs.credentials import load_notice_addresses
from jobs.notices.messages import Messages
from jobs.notices.pings import Pings
from jobs.scheduled import ExportSetup
from jobs.wiring import build_wiring, load_all_credentials, require_writable


def build_setup(named: Path | None, environ: Mapping[str, str], folder: Path) -> ExportSetup:
    """All that scheduled runs work with, checked.

    Raises:
        ConfigurationError: It cannot be used; the message says what to write.
    """
    wiring = build_wiring(named, environ, folder)
    require_writable(wiring)
    addresses = load_notice_addresses(wiring.settings.notices, environ)
    return ExportSetup(
        settings=wiring.settings,
        credentials=load_all_credentials(wiring.settings, environ),
        engine=wiring.engine,
        pings=Pings(addresses.ping_url.get_secret_value() if addresses.ping_url else None),
        messages=Messages([url.get_secret_value() for url in addresses.urls]),
    )

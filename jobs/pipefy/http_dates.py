"""Dates and waits in HTTP headers."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """How long the server asks to wait, from a number of seconds or a date; None if it does not say.

    A date is compared with the answer's own ``Date``, so that this machine's clock does not matter.
    """
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return float(value)
    until = parse_http_date(value)
    if until is None:
        return None
    now = parse_http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """The instant of a ``Date`` header, or None if it is none."""
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)

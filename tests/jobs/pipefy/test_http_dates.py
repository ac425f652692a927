from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from jobs.pipefy.http_dates import parse_http_date, retry_after_seconds

SERVER_DATE = "Tue, 16 Jun 2026 05:15:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 30 ", 30.0),
        ("Tue, 16 Jun 2026 05:17:00 GMT", 120.0),
        ("Tue, 16 Jun 2026 05:10:00 GMT", 0.0),
        ("Tue, 16 Jun 2026 05:17:00 -0000", 120.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 16 Jun 99999 05:17:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(value: str, seconds: float | None) -> None:
    headers = httpx.Headers([(b"Retry-After", value.encode()), (b"Date", SERVER_DATE.encode())])
    assert retry_after_seconds(headers) == seconds


def test_no_header_says_nothing() -> None:
    assert retry_after_seconds(httpx.Headers()) is None


def test_without_the_servers_date_this_machines_clock_counts() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after_seconds(httpx.Headers({"Retry-After": until})) == pytest.approx(100, abs=2)


def test_an_http_date_is_an_aware_instant() -> None:
    assert parse_http_date(SERVER_DATE) == datetime(2026, 6, 16, 5, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +9999",
    ],
)
def test_what_is_no_date_is_none(value: str) -> None:
    assert parse_http_date(value) is None

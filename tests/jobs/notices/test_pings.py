"""Pings, heard by a real server."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from jobs.notices.pings import Pings
from tests.jobs.notices.conftest import Listener

RUN = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"
SECRET = "a-check-of-ours"


@pytest.mark.parametrize("ending", ["", "/"])
@pytest.mark.parametrize(
    ("ping", "path", "body"),
    [
        (lambda pings: pings.start(RUN), "/start", ""),
        (lambda pings: pings.success(RUN, "5 organizations, café"), "", "5 organizations, café"),
        (lambda pings: pings.fail(RUN, "it failed"), "/fail", "it failed"),
    ],
    ids=["start", "success", "fail"],
)
def test_a_ping_names_its_run_and_tells_how_it_went(
    listener: Listener, ping: Callable[[Pings], bool | None], path: str, body: str, ending: str
) -> None:
    assert ping(Pings(f"http://{listener.address}/{SECRET}{ending}")) is True

    assert listener.posts == [(f"/{SECRET}{path}?rid={RUN}", body.encode())]


def test_a_long_summary_is_cut(listener: Listener) -> None:
    Pings(f"http://{listener.address}/{SECRET}").fail(RUN, "x" * 50_000)

    ((_, body),) = listener.posts
    assert body == b"x" * 10_000


@pytest.mark.parametrize("status", [301, 404, 503])
def test_a_monitor_that_refuses_is_a_ping_that_failed_and_its_address_stays_secret(
    listener: Listener, status: int
) -> None:
    listener.status = status

    with capture_logs() as logs:
        assert Pings(f"http://{listener.address}/{SECRET}").start(RUN) is False

    assert logs == [
        {"event": "notices.ping_failed", "log_level": "warning", "path": "/start", "status": status}
    ]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:9/{SECRET}",
        f"http://no-such-host.invalid/{SECRET}",
        f"no address {SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"http://[::1/{SECRET}",
        f"http://127.0.0.1:99999999/{SECRET}",
        f"http://{'a' * 70}.invalid/{SECRET}",
        f"http://caf\u00e9..invalid/{SECRET}",
        f"http://127.0.0.1/{SECRET}\n",
    ],
)
def test_a_monitor_that_cannot_be_reached_is_a_ping_that_failed_and_its_address_stays_secret(
    address: str,
) -> None:
    with capture_logs() as logs:
        assert Pings(address).success(RUN, "") is False

    assert [entry["event"] for entry in logs] == ["notices.ping_failed"]
    assert SECRET not in repr(logs)


def test_certificates_that_cannot_be_read_stop_nobody(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")

    assert Pings(f"http://{listener.address}/{SECRET}").start(RUN) is False


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_nobody_is_pinged(address: str | None) -> None:
    pings = Pings(address)

    assert (pings.start(RUN), pings.success(RUN, "fine"), pings.fail(RUN, "not fine")) == (None, None, None)

import asyncio
import os
import signal
import socket
import threading
import time
from datetime import date

import httpx
import pytest

from jobs.sandbox import Organization, Sandbox, faults
from tests.jobs.sandbox.asking import Asker


def test_it_starts_and_stops_at_once() -> None:
    began_at = time.monotonic()
    with Sandbox() as sandbox, (ask := Asker(sandbox)).http:
        assert ask.post("{ __typename }").status_code == 200
    assert time.monotonic() - began_at < 1


def test_it_stops_at_once_while_requests_hang() -> None:
    with Sandbox() as sandbox:
        sandbox.inject(faults.Hang(60))
        thread = threading.Thread(target=_expect_a_lost_connection, args=(sandbox,))
        thread.start()
        while not sandbox.requests:
            time.sleep(0.005)
        assert sandbox.requests[0].status is None
        began_at = time.monotonic()
    assert time.monotonic() - began_at < 1
    thread.join()


def _expect_a_lost_connection(sandbox: Sandbox) -> None:
    with (ask := Asker(sandbox)).http, pytest.raises(httpx.RemoteProtocolError):
        ask.post("{ __typename }")


def test_it_can_be_started_again_with_all_it_knew() -> None:
    sandbox = Sandbox()
    with sandbox, (ask := Asker(sandbox)).http:
        ask.post("{ __typename }")
    with sandbox, (ask := Asker(sandbox)).http:
        ask.post("{ __typename }")
    assert sandbox.graphql_requests == 2


def test_stopping_what_does_not_run_changes_nothing() -> None:
    Sandbox().stop()


def test_a_port_that_is_taken_is_an_error_of_the_caller(sandbox: Sandbox) -> None:
    port = int(sandbox.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()


def test_it_listens_on_the_port_it_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Sandbox(port=port) as sandbox:
        assert sandbox.base_url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::", "localhost"])  # noqa: S104 the test is of such addresses
def test_its_address_can_be_reached_whatever_it_listens_on(host: str) -> None:
    with Sandbox(host=host) as sandbox, (ask := Asker(sandbox)).http:
        assert ask.post("{ __typename }").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_ends_with_a_signal(sandbox: Sandbox, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    sender = threading.Timer(0.05, os.kill, (os.getpid(), number))
    sender.start()
    sandbox.wait()
    sender.join()
    assert signal.getsignal(number) is before


def test_waiting_ends_when_it_is_stopped(sandbox: Sandbox) -> None:
    stopper = threading.Timer(0.05, sandbox.stop)
    stopper.start()
    sandbox.wait()
    stopper.join()


def test_unknown_paths_are_not_found(sandbox: Sandbox) -> None:
    assert httpx.get(sandbox.base_url, trust_env=False).status_code == 404
    assert httpx.get(sandbox.graphql_url, trust_env=False).status_code == 405


def test_the_application_answers_without_a_server() -> None:
    sandbox = Sandbox(today=date(2026, 6, 15))
    response = asyncio.run(_asked_without_a_server(sandbox))
    assert response.json() == {"data": {"__typename": "Query"}}


async def _asked_without_a_server(sandbox: Sandbox) -> httpx.Response:
    headers = {"Authorization": f"Bearer {sandbox.issue_token()}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), headers=headers) as client:
        return await client.post(sandbox.graphql_url, json={"query": "{ __typename }"})


def test_a_fault_that_needs_a_connection_says_so_without_one() -> None:
    sandbox = Sandbox()
    sandbox.inject(faults.ConnectionReset())
    with pytest.raises(ConnectionResetError, match="as a server"):
        asyncio.run(_asked_without_a_server(sandbox))


def test_organizations_can_be_given() -> None:
    organization = Organization(id="12", uuid="8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11", name="Mine", limit=0)
    sandbox = Sandbox(organizations=[organization], today=date(2026, 6, 15))
    with sandbox, (ask := Asker(sandbox)).http:
        assert ask.stats(organization.uuid)["tasksConsumed"]["limit"] == 0


def test_the_last_organizations_can_be_denied_from_the_start() -> None:
    with Sandbox(organizations=5, denied=2) as sandbox, (ask := Asker(sandbox)).http:
        payload = ask.usage(*(organization.uuid for organization in sandbox.organizations)).json()
    assert [value is None for value in payload["data"].values()] == [False, False, False, True, True]


def test_more_cannot_be_denied_than_there_are() -> None:
    with Sandbox(organizations=2, denied=3) as sandbox, (ask := Asker(sandbox)).http:
        payload = ask.post("{ myUsageStatsOrganizations { uuid } }").json()
    assert payload["data"]["myUsageStatsOrganizations"] == []


def test_20_000_organizations_are_listed() -> None:
    with Sandbox(organizations=20_000) as sandbox, (ask := Asker(sandbox)).http:
        payload = ask.post("{ myUsageStatsOrganizations { uuid } }").json()
    assert len(payload["data"]["myUsageStatsOrganizations"]) == 20_000

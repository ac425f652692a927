from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jobs.sandbox import Sandbox, faults
from tests.jobs.sandbox.asking import Asker


def test_a_graphql_request_is_written_down(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    ask.usage(first.uuid, second.uuid)
    (request,) = sandbox.requests
    assert request.endpoint == "graphql"
    assert request.path == "/graphql"
    assert request.status == 200
    assert request.operation_name == "Usage"
    assert request.aliases == 2
    assert request.complexity == 320
    assert request.account == "sandbox-client"
    assert request.headers["user-agent"].startswith("python-httpx")
    assert abs(datetime.now(UTC) - request.received_at) < timedelta(seconds=5)


def test_a_token_is_written_down_as_whose_it_is_only(sandbox: Sandbox, ask: Asker) -> None:
    ask.post("{ __typename }")
    (request,) = sandbox.requests
    assert request.token == "sandbox-client#1"
    assert request.headers["authorization"] == "Bearer sandbox-client#1"


@pytest.mark.parametrize(
    ("sent", "token", "written"),
    [("Bearer stolen", "unknown", "Bearer unknown"), ("Basic c2VjcmV0", None, "unknown")],
)
def test_an_unknown_secret_is_not_written_down(
    sandbox: Sandbox, ask: Asker, sent: str, token: str | None, written: str
) -> None:
    ask.http.headers["Authorization"] = sent
    ask.post("{ __typename }")
    (request,) = sandbox.requests
    assert request.token == token
    assert request.headers["authorization"] == written


def test_the_two_endpoints_are_counted_apart(sandbox: Sandbox, ask: Asker) -> None:
    ask.post("{ __typename }")
    httpx.post(sandbox.token_url, trust_env=False)
    ask.post("{ __typename }")
    assert sandbox.graphql_requests == 2
    assert sandbox.token_requests == 1
    assert [request.status for request in sandbox.requests] == [200, 400, 200]


def test_forgotten_requests_are_not_counted(sandbox: Sandbox, ask: Asker) -> None:
    ask.post("{ __typename }")
    sandbox.forget_requests()
    assert sandbox.requests == ()


@pytest.mark.parametrize(
    ("status", "billed"),
    [(200, 1), (302, 1), (404, 1), (408, 1), (422, 1), (400, 0), (401, 0), (403, 0), (429, 0), (500, 0)],
)
def test_the_statuses_that_pipefy_bills_are_billed(
    sandbox: Sandbox, ask: Asker, status: int, billed: int
) -> None:
    sandbox.inject(faults.StatusAnswer(status))
    ask.post("{ __typename }")
    assert sandbox.billed_requests == billed


def test_a_graphql_error_is_billed(sandbox: Sandbox, ask: Asker) -> None:
    ask.usage("unknown")
    assert sandbox.billed_requests == 1


def test_token_requests_are_not_billed(sandbox: Sandbox) -> None:
    sandbox.inject(faults.StatusAnswer(200), endpoint="token")
    httpx.post(sandbox.token_url, trust_env=False)
    assert sandbox.billed_requests == 0

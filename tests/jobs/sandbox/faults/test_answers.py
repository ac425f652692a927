from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from jobs.sandbox import Sandbox, faults
from jobs.sandbox.faults.answers import BodyKind
from tests.jobs.sandbox.asking import Asker


def test_too_many_requests_without_retry_after(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.TooManyRequests())
    response = ask.post("{ __typename }")
    assert response.status_code == 429
    assert "Retry-After" not in response.headers


def test_too_many_requests_with_retry_after_in_seconds(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.TooManyRequests(retry_after_seconds=7))
    assert ask.post("{ __typename }").headers["Retry-After"] == "7"


def test_too_many_requests_with_retry_after_as_a_date(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.TooManyRequests(retry_after_seconds=60, as_http_date=True))
    retry_at = parsedate_to_datetime(ask.post("{ __typename }").headers["Retry-After"])
    assert timedelta(seconds=55) < retry_at - datetime.now(UTC) <= timedelta(seconds=60)


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("body", "content_type", "start"),
    [("json", "application/json", "{"), ("html", "text/html", "<html>"), ("empty", "text/html", "")],
)
def test_a_status_with_each_kind_of_body(  # noqa: PLR0913, PLR0917 three belong to one case
    sandbox: Sandbox, ask: Asker, status: int, body: BodyKind, content_type: str, start: str
) -> None:
    sandbox.inject(faults.StatusAnswer(status, body))
    response = ask.post("{ __typename }")
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith(content_type)
    assert response.text.startswith(start)
    assert bool(response.text) == (body != "empty")


@pytest.mark.parametrize("status", [200, 401])
def test_the_sign_in_page_stands_where_json_should_be(sandbox: Sandbox, ask: Asker, status: int) -> None:
    sandbox.inject(faults.SignInPage(status))
    response = ask.post("{ __typename }")
    assert response.status_code == status
    assert "<h1>Sign in</h1>" in response.text


def test_a_redirect_leads_to_the_sign_in_page(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.RedirectToSignIn())
    response = ask.post("{ __typename }")
    assert response.status_code == 302
    followed = ask.http.get(sandbox.base_url + response.headers["Location"])
    assert followed.status_code == 200
    assert "Sign in" in followed.text


@pytest.mark.parametrize("status", [401, 200])
def test_a_good_token_can_be_refused(sandbox: Sandbox, ask: Asker, status: int) -> None:
    sandbox.inject(faults.Unauthorized(status))
    response = ask.post("{ __typename }")
    assert response.status_code == status
    assert response.json()["errors"][0]["title"] == "Unauthorized"


@pytest.mark.parametrize("value", [{"access_token": 5}, {}, [], None, "token"])
def test_the_token_endpoint_can_answer_garbage(sandbox: Sandbox, value: object) -> None:
    sandbox.inject(faults.JsonAnswer(value), endpoint="token")
    response = httpx.post(sandbox.token_url, trust_env=False)
    assert response.status_code == 200
    assert response.json() == value


def test_any_bytes_can_be_answered(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.RawAnswer(b"\x00\x01", 207, "image/png"))
    response = ask.post("{ __typename }")
    assert (response.content, response.status_code) == (b"\x00\x01", 207)
    assert response.headers["Content-Type"] == "image/png"

import time

import httpx
import pytest

from jobs.sandbox import Sandbox
from tests.jobs.sandbox.asking import Asker

GRANT = {"grant_type": "client_credentials"}
CREDENTIALS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


def test_a_json_body_gets_a_token_that_opens_the_api(sandbox: Sandbox) -> None:
    response = httpx.post(sandbox.token_url, json=GRANT | CREDENTIALS, trust_env=False)
    granted = response.json()
    assert response.status_code == 200
    assert granted["token_type"] == "Bearer"
    assert granted["expires_in"] == 30 * 24 * 60 * 60
    assert granted["created_at"] == pytest.approx(time.time(), abs=3)
    with (ask := Asker(sandbox, granted["access_token"])).http:
        assert ask.post("{ __typename }").status_code == 200


def test_a_form_with_three_fields_gets_a_token(sandbox: Sandbox) -> None:
    response = httpx.post(sandbox.token_url, data=GRANT | CREDENTIALS, trust_env=False)
    assert response.json()["access_token"]


def test_a_form_beside_http_basic_gets_a_token(sandbox: Sandbox) -> None:
    basic = httpx.BasicAuth(*CREDENTIALS.values())
    response = httpx.post(sandbox.token_url, data=GRANT, auth=basic, trust_env=False)
    assert response.json()["access_token"]
    assert sandbox.requests[-1].headers["authorization"] == "Basic sandbox-client"


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "unknown"}, {"client_secret": "wrong"}, {"client_secret": 5}, {"client_secret": "ß"}],
)
def test_a_wrong_client_is_refused(sandbox: Sandbox, wrong: dict[str, object]) -> None:
    response = httpx.post(sandbox.token_url, json=GRANT | CREDENTIALS | wrong, trust_env=False)
    assert response.status_code == 401
    assert response.json() == {"error": "invalid_client"}


@pytest.mark.parametrize("authorization", ["Basic !", "Basic /w==", "Bearer token"])
def test_an_authorization_that_is_no_basic_proves_nothing(sandbox: Sandbox, authorization: str) -> None:
    headers = {"Authorization": authorization}
    response = httpx.post(sandbox.token_url, data=GRANT, headers=headers, trust_env=False)
    assert response.status_code == 401


@pytest.mark.parametrize("grant", ["password", ""])
def test_another_grant_is_not_supported(sandbox: Sandbox, grant: str) -> None:
    asked = CREDENTIALS | {"grant_type": grant}
    response = httpx.post(sandbox.token_url, json=asked, trust_env=False)
    assert response.status_code == 400
    assert response.json() == {"error": "unsupported_grant_type"}


def test_credentials_can_be_chosen() -> None:
    with Sandbox(client_id="my-client", client_secret="my-secret") as sandbox:
        asked = GRANT | {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        assert httpx.post(sandbox.token_url, json=asked, trust_env=False).status_code == 200


def test_a_token_expires_when_its_life_is_over() -> None:
    now = [1_000.0]
    with Sandbox(token_seconds=300, monotonic=lambda: now[0]) as sandbox:
        granted = httpx.post(sandbox.token_url, json=GRANT | CREDENTIALS, trust_env=False).json()
        assert granted["expires_in"] == 300
        with (ask := Asker(sandbox, granted["access_token"])).http:
            now[0] += 299.9
            assert ask.post("{ __typename }").status_code == 200
            now[0] += 0.1
            assert ask.post("{ __typename }").status_code == 401
    assert sandbox.requests[-1].token == "sandbox-client#1"
    assert sandbox.requests[-1].account is None


def test_the_life_of_new_tokens_can_be_changed(sandbox: Sandbox) -> None:
    sandbox.token_seconds = 600
    granted = httpx.post(sandbox.token_url, json=GRANT | CREDENTIALS, trust_env=False).json()
    assert granted["expires_in"] == sandbox.token_seconds == 600


def test_the_older_token_of_an_account_stays_good(sandbox: Sandbox) -> None:
    older, newer = sandbox.issue_token(), sandbox.issue_token()
    assert older != newer
    with (ask := Asker(sandbox, older)).http:
        assert ask.post("{ __typename }").status_code == 200


def test_the_same_seed_gives_the_same_tokens() -> None:
    assert Sandbox(seed=1).issue_token() == Sandbox(seed=1).issue_token()
    assert Sandbox(seed=1).issue_token() != Sandbox(seed=2).issue_token()

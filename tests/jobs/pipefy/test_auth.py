import asyncio
import json
from collections.abc import Callable, Coroutine
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from jobs.credentials import BearerToken, ClientCredentials
from jobs.errors import CredentialsError
from jobs.pipefy.auth import PipefyAuth, ReadyTokenAuth, ServiceAccountAuth, TokenRequest
from jobs.pipefy.failures import PassingError
from jobs.sandbox import Sandbox, faults
from jobs.sandbox.faults import Fault
from tests.jobs.pipefy.asking import Asking, question_for, questions_for

TOKEN_URL = "https://app.example/oauth/token"
API = "https://api.example/graphql"
CREDENTIALS = ClientCredentials("the-client", SecretStr("the-secret"))


class Provider:
    """Gives the tokens ``token-1``, ``token-2``, ... and notes what comes in."""

    def __init__(self, *, expires_in: float = 3600, revoked: frozenset[str] = frozenset()) -> None:
        self.expires_in = expires_in
        self.revoked = revoked
        self.asked: list[httpx.Request] = []
        self.used: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.001)
        if str(request.url) == TOKEN_URL:
            self.asked.append(request)
            token = f"token-{len(self.asked)}"
            return httpx.Response(200, json={"access_token": token, "expires_in": self.expires_in})
        self.used.append(request.headers["Authorization"].removeprefix("Bearer "))
        return httpx.Response(401 if self.used[-1] in self.revoked else 200)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def service_account(
    clock: Clock | None = None,
    token_request: TokenRequest = "form",  # noqa: S107 # no secret
) -> ServiceAccountAuth:
    return ServiceAccountAuth(
        CREDENTIALS,
        account="main",
        token_url=TOKEN_URL,
        token_request=token_request,
        clock=clock or Clock(),
    )


def send(
    handler: Callable[[httpx.Request], Coroutine[None, None, httpx.Response]],
    auth: PipefyAuth,
    *,
    at: tuple[float, ...] = (0.0,),
    clock: Clock | None = None,
) -> list[int]:
    """Sends a request at each instant of the clock, and returns their statuses."""

    async def send_all() -> list[int]:
        statuses = []
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), auth=auth) as http:
            for instant in at:
                if clock:
                    clock.now = instant
                statuses.append((await http.post(API)).status_code)
        return statuses

    return asyncio.run(send_all())


def test_a_form_holds_the_grant_and_both_secrets() -> None:
    provider = Provider()
    send(provider, service_account())
    assert parse_qs(provider.asked[0].content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client"],
        "client_secret": ["the-secret"],
    }
    assert "authorization" not in provider.asked[0].headers


def test_a_json_body_holds_the_grant_and_both_secrets() -> None:
    provider = Provider()
    send(provider, service_account(token_request="json"))
    assert json.loads(provider.asked[0].content) == {
        "grant_type": "client_credentials",
        "client_id": "the-client",
        "client_secret": "the-secret",
    }


def test_http_basic_keeps_the_secrets_out_of_the_body() -> None:
    provider = Provider()
    send(provider, service_account(token_request="basic"))
    assert provider.asked[0].content == b"grant_type=client_credentials"
    assert provider.asked[0].headers["authorization"].startswith("Basic ")


def test_a_token_is_waited_for_no_longer_than_an_answer() -> None:
    provider = Provider()

    async def send_with_timeout() -> None:
        transport = httpx.MockTransport(provider)
        async with httpx.AsyncClient(transport=transport, auth=service_account(), timeout=7.0) as http:
            await http.post(API)

    asyncio.run(send_with_timeout())
    assert provider.asked[0].extensions["timeout"] == {"connect": 7, "read": 7, "write": 7, "pool": 7}


@pytest.mark.parametrize("token_request", ["form", "json", "basic"])
def test_every_encoding_opens_the_api(asking: Asking, token_request: str) -> None:
    asking.account = {"token_request": token_request}
    assert asking.stats(question_for(asking.sandbox)).active_flows >= 0
    assert asking.sandbox.token_requests == 1


def test_concurrent_requests_ask_for_one_token() -> None:
    provider = Provider()

    async def send_together() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(provider), auth=service_account()) as http:
            await asyncio.gather(*(http.post(API) for _ in range(5)))

    asyncio.run(send_together())
    assert provider.used == ["token-1"] * 5
    assert len(provider.asked) == 1


@pytest.mark.parametrize(("expires_in", "margin"), [(300, 30), (600, 60), (3600, 60), (30 * 24 * 3600, 60)])
def test_a_token_is_renewed_shortly_before_its_end(expires_in: float, margin: float) -> None:
    provider, clock = Provider(expires_in=expires_in), Clock()
    instants = (0.0, expires_in - margin - 1, expires_in - margin)
    send(provider, service_account(clock), at=instants, clock=clock)
    assert provider.used == ["token-1", "token-1", "token-2"]


def test_after_a_401_the_request_goes_out_once_more_with_a_new_token() -> None:
    provider = Provider(revoked=frozenset({"token-1"}))
    assert send(provider, service_account()) == [200]
    assert provider.used == ["token-1", "token-2"]


def test_after_a_second_401_it_is_given_up() -> None:
    provider = Provider(revoked=frozenset({"token-1", "token-2"}))
    assert send(provider, service_account()) == [401]
    assert provider.used == ["token-1", "token-2"]


def test_concurrent_401s_ask_for_one_new_token() -> None:
    provider = Provider(revoked=frozenset({"token-1"}))

    async def send_together() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(provider), auth=service_account()) as http:
            await asyncio.gather(*(http.post(API) for _ in range(5)))

    asyncio.run(send_together())
    assert provider.used == ["token-1"] * 5 + ["token-2"] * 5
    assert len(provider.asked) == 2


def test_a_late_401_does_not_cost_the_new_token() -> None:
    provider = Provider(revoked=frozenset({"token-1"}))

    async def answer_later_each_time(request: httpx.Request) -> httpx.Response:
        response = await provider(request)
        if response.status_code == 401:
            await asyncio.sleep(0.03 * len(provider.used))
        return response

    async def send_together() -> None:
        transport = httpx.MockTransport(answer_later_each_time)
        async with httpx.AsyncClient(transport=transport, auth=service_account()) as http:
            await asyncio.gather(http.post(API), http.post(API))

    asyncio.run(send_together())
    assert sorted(provider.used) == ["token-1", "token-1", "token-2", "token-2"]


def test_a_revoked_token_is_replaced_in_passing(asking: Asking) -> None:
    questions = questions_for(asking.sandbox)
    asking.sandbox.inject(faults.Unauthorized())
    assert asking.failures(questions) == {}
    assert asking.sandbox.token_requests == 2


def test_a_wrong_client_is_named_by_its_account_and_not_by_its_secret(asking: Asking) -> None:
    asking.credentials = ClientCredentials(asking.sandbox.client_id, SecretStr("guessed-secret"))
    with pytest.raises(CredentialsError, match=r"account 'main'.*the client id or secret") as caught:
        asking.usage(questions_for(asking.sandbox))
    assert asking.sandbox.token_url in str(caught.value)
    assert "guessed-secret" not in str(caught.value)
    assert asking.sandbox.token_requests == 1
    assert asking.sandbox.graphql_requests == 0


def test_a_refused_client_is_not_sent_again() -> None:
    asked = []

    async def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        await asyncio.sleep(0.001)
        return httpx.Response(401, json={"error": "invalid_client"})

    async def send_together() -> list[httpx.Response | BaseException]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), auth=service_account()) as http:
            together = [http.post(API) for _ in range(3)]
            later = [http.post(API)]
            return [
                *await asyncio.gather(*together, return_exceptions=True),
                *await asyncio.gather(*later, return_exceptions=True),
            ]

    outcomes = asyncio.run(send_together())
    assert [type(outcome) for outcome in outcomes] == [CredentialsError] * 4
    assert len(asked) == 1


def test_a_redirect_from_the_token_endpoint_points_to_its_address(asking: Asking) -> None:
    asking.sandbox.inject(faults.RedirectToSignIn(), endpoint="token")
    with pytest.raises(CredentialsError, match="a redirect; check token_url"):
        asking.usage([question_for(asking.sandbox)])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_token_endpoint_that_is_down_in_passing_costs_nothing(asking: Asking, status: int) -> None:
    asking.sandbox.inject(faults.StatusAnswer(status), endpoint="token")
    asking.stats(question_for(asking.sandbox))
    assert asking.sandbox.token_requests == 2


def test_a_token_endpoint_that_limits_its_rate_is_asked_again(asking: Asking) -> None:
    asking.sandbox.inject(faults.TooManyRequests(0), endpoint="token")
    asking.stats(question_for(asking.sandbox))
    assert asking.sandbox.token_requests == 2


@pytest.mark.parametrize(
    "fault",
    [
        faults.SignInPage(),
        faults.RawAnswer(b""),
        faults.RawAnswer(b"token"),
        faults.JsonAnswer(None),
        faults.JsonAnswer([]),
        faults.JsonAnswer({}),
        faults.JsonAnswer({"access_token": "", "expires_in": 300}),
        faults.JsonAnswer({"access_token": None, "expires_in": 300}),
        faults.JsonAnswer({"access_token": "a b", "expires_in": 300}),
        faults.JsonAnswer({"access_token": "a\r\nX-Evil: 1", "expires_in": 300}),
        faults.JsonAnswer({"access_token": "ä", "expires_in": 300}),
        faults.JsonAnswer({"access_token": "token", "expires_in": 0}),
        faults.JsonAnswer({"access_token": "token", "expires_in": -1}),
        faults.JsonAnswer({"access_token": "token", "expires_in": "300"}),
        faults.JsonAnswer({"access_token": "token", "expires_in": float("nan")}),
        faults.JsonAnswer({"access_token": "token"}),
        faults.RawAnswer(b'{"access_token": "\xff", "expires_in": 300}'),
    ],
    ids=repr,
)
def test_an_answer_without_a_usable_token_is_none(asking: Asking, fault: Fault) -> None:
    asking.sandbox.inject(fault, endpoint="token", times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {error.code for error in failed.values()} == {"NO_TOKEN"}
    assert len(failed) == 15
    assert asking.sandbox.token_requests == asking.patience.attempts
    assert asking.sandbox.graphql_requests == 0


def test_a_bad_answer_of_the_token_endpoint_is_not_repeated_in_the_message(asking: Asking) -> None:
    answer = {"access_token": ["leaked-token"], "expires_in": 300}
    asking.sandbox.inject(faults.JsonAnswer(answer), endpoint="token", times=None)
    assert "leaked-token" not in str(asking.failure(question_for(asking.sandbox)))


@pytest.mark.parametrize("fault", [faults.Hang(5.0), faults.EndlessBody(), faults.SlowBody(1.0)], ids=repr)
def test_a_token_endpoint_that_does_not_come_to_an_end_is_no_reason_to_ask_for_less(
    asking: Asking, fault: Fault
) -> None:
    asking.with_patience(answer_seconds=0.2)
    asking.sandbox.inject(fault, endpoint="token", times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {error.code for error in failed.values()} <= {"NO_TOKEN", "UNREACHABLE"}
    assert asking.sandbox.token_requests == asking.patience.attempts


def test_a_ready_token_is_sent_as_it_is(asking: Asking) -> None:
    asking.credentials = BearerToken(SecretStr(asking.sandbox.issue_token()))
    asking.stats(question_for(asking.sandbox))
    assert asking.sandbox.token_requests == 0


@pytest.mark.parametrize(
    "fault",
    [faults.Unauthorized(), faults.Unauthorized(200), faults.SignInPage(401), faults.RedirectToSignIn()],
    ids=repr,
)
def test_a_refused_ready_token_is_not_sent_twice(asking: Asking, fault: Fault) -> None:
    asking.credentials = BearerToken(SecretStr(asking.sandbox.issue_token()))
    asking.sandbox.inject(fault, times=None)
    with pytest.raises(CredentialsError, match="account 'main'"):
        asking.usage([question_for(asking.sandbox)])
    assert asking.sandbox.graphql_requests == 1


@pytest.mark.parametrize("token", ["two\nlines", "with space", "tökén", "\x00"])
def test_a_text_that_is_no_token_is_refused_and_not_shown(sandbox: Sandbox, token: str) -> None:
    asking = Asking(sandbox, credentials=BearerToken(SecretStr(token)))
    with pytest.raises(CredentialsError, match="account 'main': the token") as caught:
        asking.usage([question_for(sandbox)])
    assert token not in str(caught.value)
    assert sandbox.requests == ()


def test_discarding_a_ready_token_keeps_it() -> None:
    provider, auth = Provider(), ReadyTokenAuth(BearerToken(SecretStr("ready")), account="main")
    auth.discard()
    assert send(provider, auth) == [200]
    assert provider.used == ["ready"]


def test_a_token_endpoint_in_trouble_says_how_long_to_wait() -> None:
    async def limit(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "7"})

    with pytest.raises(PassingError) as caught:
        send(limit, service_account())
    assert caught.value.retry_after_seconds == 7
    assert caught.value.code == "HTTP_429"

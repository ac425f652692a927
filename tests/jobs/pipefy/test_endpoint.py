import asyncio
import json
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from starlette.responses import Response

from jobs.errors import CredentialsError
from jobs.periods import Period
from jobs.pipefy.client import PipefyClient, UsageAnswer
from jobs.pipefy.queries import UsageQuestion
from jobs.sandbox import SAMPLE_STATS, Sandbox, faults
from jobs.sandbox.faults import Fault
from jobs.sandbox.faults.fault import Ordinary, WireFault
from tests.jobs.pipefy.asking import Asking, question_for, questions_for

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Headed(WireFault):
    """A status with any headers."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)

    async def respond(self, ordinary: Ordinary) -> Response:
        _ = ordinary
        return Response(status_code=self.status, headers=self.headers)


def ask_side_by_side(
    asking: Asking, questions: Sequence[UsageQuestion]
) -> tuple[list[UsageAnswer], list[float]]:
    """Asks each question in a request of its own, all at once; returns when each request came in."""

    async def ask_each(client: PipefyClient) -> list[UsageAnswer]:
        answers = await asyncio.gather(*(client.fetch_usage([question]) for question in questions))
        return [answer for [answer] in answers]

    answers = asking.run(ask_each)
    received = [
        each.received_at.timestamp() for each in asking.sandbox.requests if each.endpoint == "graphql"
    ]
    return answers, received


@pytest.mark.parametrize(
    "fault",
    [
        faults.StatusAnswer(500),
        faults.StatusAnswer(502, "empty"),
        faults.StatusAnswer(503, "json"),
        faults.ConnectionReset(mid_answer=False),
        faults.ConnectionReset(mid_answer=True),
        faults.CutOff(),
        faults.InvalidJson(),
        faults.RawAnswer(b""),
        faults.RawAnswer(b"[]"),
        faults.RawAnswer(b"null"),
        faults.RawAnswer(b"{}"),
        faults.JsonAnswer({"data": None}),
        faults.JsonAnswer({"data": [1]}),
        faults.RawAnswer(b"\x1f\x8b"),
        faults.SignInPage(),
        faults.RedirectToSignIn(),
        faults.Unauthorized(),
        faults.Unauthorized(200),
        faults.SignInPage(401),
        faults.TooManyRequests(),
    ],
    ids=repr,
)
def test_what_goes_wrong_once_costs_nothing(asking: Asking, fault: Fault) -> None:
    asking.sandbox.inject(fault)
    assert asking.failures(questions_for(asking.sandbox)) == {}
    assert asking.sandbox.graphql_requests == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.StatusAnswer(500), "HTTP_500"),
        (faults.StatusAnswer(404), "HTTP_404"),
        (faults.StatusAnswer(403, "json"), "HTTP_403"),
        (faults.StatusAnswer(422, "empty"), "HTTP_422"),
        (faults.ConnectionReset(mid_answer=False), "UNREACHABLE"),
        (faults.CutOff(), "UNREACHABLE"),
        (faults.InvalidJson(), "NO_JSON"),
        (faults.RawAnswer(b"[" * 100_000 + b"]" * 100_000), "NO_JSON"),
        (faults.RawAnswer(b"<html>", content_type="application/json"), "WEB_PAGE"),
        (faults.RawAnswer(b"down", content_type="text/html"), "WEB_PAGE"),
        (faults.SignInPage(), "WEB_PAGE"),
        (faults.JsonAnswer({"data": None}), "NO_DATA"),
        (faults.JsonAnswer({}), "NO_DATA"),
        (faults.TooManyRequests(), "HTTP_429"),
    ],
    ids=repr,
)
def test_what_goes_wrong_for_good_fails_every_question_with_its_code(
    asking: Asking, fault: Fault, code: str
) -> None:
    asking.sandbox.inject(fault, times=None)
    failed = asking.failures(questions_for(asking.sandbox))
    assert [error.code for error in failed.values()] == [code] * 15


@pytest.mark.parametrize(
    "fault",
    [faults.Unauthorized(), faults.Unauthorized(200), faults.SignInPage(401), faults.RedirectToSignIn()],
    ids=repr,
)
def test_credentials_refused_after_a_new_token_are_refused(asking: Asking, fault: Fault) -> None:
    asking.sandbox.inject(fault, times=None)
    with pytest.raises(CredentialsError, match="account 'main'"):
        asking.usage(questions_for(asking.sandbox))
    assert asking.sandbox.token_requests == 2
    assert asking.sandbox.graphql_requests == 2


def test_the_number_of_attempts_is_bounded(asking: Asking) -> None:
    asking.with_patience(attempts=3)
    asking.sandbox.inject(faults.StatusAnswer(503), times=None)
    assert asking.failure(question_for(asking.sandbox)).code == "HTTP_503"
    assert asking.sandbox.graphql_requests == 3


def test_one_attempt_is_one_request(asking: Asking) -> None:
    asking.with_patience(attempts=1)
    asking.sandbox.inject(faults.StatusAnswer(503), times=None)
    assert asking.failure(question_for(asking.sandbox)).code == "HTTP_503"
    assert asking.sandbox.graphql_requests == 1


def test_invalid_utf_8_costs_only_the_answer_that_holds_it(asking: Asking) -> None:
    questions = questions_for(asking.sandbox)[:2]
    good = asking.sandbox.stats(questions[1].organization_uuid, "last_month")
    spoiled = {**SAMPLE_STATS, "filterDate": {"from": "SPOILED", "to": "2026-06-30T23:59:59Z"}}
    body = json.dumps({"data": {"a0": spoiled, "a1": good}}).encode()
    asking.sandbox.inject(faults.RawAnswer(body.replace(b"SPOILED", b"2026-06-01T00:00:00Z\xff")))
    failed = asking.failures(questions)
    assert {question: error.code for question, error in failed.items()} == {questions[0]: "INVALID_ANSWER"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_the_token_goes_nowhere_else(asking: Asking, status: int) -> None:
    with Sandbox() as elsewhere:
        asking.sandbox.inject(Headed(status, {"Location": elsewhere.graphql_url}), times=None)
        with pytest.raises(CredentialsError, match="a redirect to a sign-in page or another address"):
            asking.usage(questions_for(asking.sandbox))
        assert elsewhere.requests == ()


@pytest.mark.parametrize("as_date", [False, True])
def test_a_429_that_says_how_long_is_waited_out_no_longer(
    asking: Asking,
    as_date: bool,  # noqa: FBT001 # a parameter of the table
) -> None:
    asking.with_patience(rate_limit_pause_seconds=100.0, deadline=time.monotonic() + 5)
    asking.sandbox.inject(faults.TooManyRequests(0, as_http_date=as_date))
    asking.stats(question_for(asking.sandbox))
    assert asking.sandbox.graphql_requests == 2


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("questions", [1, 3])
def test_a_429_that_outlasts_the_run_fails_at_once_for_the_whole_account(
    asking: Asking,
    as_date: bool,  # noqa: FBT001 # a parameter of the table
    questions: int,
) -> None:
    asking.pipefy = {"connections": 1}
    asking.with_patience(deadline=time.monotonic() + 20)
    asking.sandbox.inject(faults.TooManyRequests(60, as_http_date=as_date), times=None)
    started = time.monotonic()
    answers, received = ask_side_by_side(asking, questions_for(asking.sandbox)[:questions])
    assert {getattr(answer.result, "code", None) for answer in answers} == {"HTTP_429"}
    assert len(received) == 1
    assert time.monotonic() - started < 5


def test_a_429_that_does_not_say_how_long_is_waited_out_with_patience(asking: Asking) -> None:
    asking.with_patience(rate_limit_pause_seconds=0.2)
    asking.sandbox.inject(faults.TooManyRequests())
    _, [refused_at, answered_at] = ask_side_by_side(asking, [question_for(asking.sandbox)])
    assert answered_at - refused_at >= 0.19


def test_a_429_pauses_the_whole_account(asking: Asking) -> None:
    asking.pipefy = {"connections": 1}
    asking.with_patience(rate_limit_pause_seconds=0.2)
    asking.sandbox.inject(faults.TooManyRequests())
    _, [refused_at, *others_at] = ask_side_by_side(asking, questions_for(asking.sandbox)[:3])
    assert len(others_at) == 3
    assert min(others_at) - refused_at >= 0.19


def test_a_503_may_say_how_long_too(asking: Asking) -> None:
    asking.with_patience(deadline=time.monotonic() + 20)
    asking.sandbox.inject(Headed(503, {"Retry-After": "60"}))
    assert asking.failure(question_for(asking.sandbox)).code == "HTTP_503"
    assert asking.sandbox.graphql_requests == 1


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "yesterday", "Mon, 01 Jan 0001 00:00:00 GMT"]
)
def test_an_odd_date_in_an_answer_costs_nothing(asking: Asking, date: str) -> None:
    asking.sandbox.inject(Headed(503, {"Date": date, "Retry-After": date}))
    asking.stats(question_for(asking.sandbox))


@pytest.mark.parametrize(
    "fault",
    [faults.Hang(5.0), faults.SlowBody(0.1), faults.SlowHeaders(0.1)],
    ids=repr,
)
def test_an_answer_that_takes_too_long_is_ended(asking: Asking, fault: Fault) -> None:
    asking.with_patience(answer_seconds=0.15)
    asking.sandbox.inject(fault, times=None)
    started = time.monotonic()
    error = asking.failure(question_for(asking.sandbox))
    assert (error.code, str(error)) == ("TIMEOUT", "no answer within 0.15 s")
    assert time.monotonic() - started < 2


def test_a_late_answer_is_asked_for_in_halves(asking: Asking) -> None:
    asking.with_patience(answer_seconds=0.5)
    asking.sandbox.inject(faults.Hang(5.0))
    assert asking.failures(questions_for(asking.sandbox, Period.LAST_MONTH, organizations=2)) == {}
    assert [each.aliases for each in asking.sandbox.requests if each.endpoint == "graphql"] == [2, 1, 1]


@pytest.mark.parametrize("fault", [faults.EndlessBody(), faults.GzipBomb(1024)], ids=repr)
def test_an_answer_without_bounds_ends_in_bounded_memory(asking: Asking, fault: Fault) -> None:
    asking.sandbox.inject(fault, times=None)
    tracemalloc.start()
    try:
        error = asking.failure(question_for(asking.sandbox))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.code == "ANSWER_TOO_LARGE"
    assert peak < 100 * MEBIBYTE


def test_what_is_under_way_ends_with_the_run(asking: Asking) -> None:
    asking.with_patience(deadline=time.monotonic() + 0.3)
    asking.sandbox.inject(faults.Hang(5.0), times=None)
    started = time.monotonic()
    assert asking.failure(question_for(asking.sandbox)).code == "DEADLINE"
    assert time.monotonic() - started < 2


def test_a_pause_ends_with_the_run(asking: Asking) -> None:
    asking.with_patience(deadline=time.monotonic() + 0.3, pause_seconds=5.0)
    asking.sandbox.inject(faults.StatusAnswer(500), times=None)
    started = time.monotonic()
    assert asking.failure(question_for(asking.sandbox)).code == "DEADLINE"
    assert time.monotonic() - started < 2


def test_nothing_is_sent_when_the_run_is_over(asking: Asking) -> None:
    asking.with_patience(deadline=time.monotonic() - 1)
    failed = asking.failures(questions_for(asking.sandbox))
    assert {error.code for error in failed.values()} == {"DEADLINE"}
    assert "export.deadline_seconds" in str(next(iter(failed.values())))
    assert asking.sandbox.requests == ()


def test_no_more_requests_are_under_way_than_connections(asking: Asking) -> None:
    asking.pipefy = {"connections": 2}
    asking.sandbox.latency_seconds = 0.1
    _, received = ask_side_by_side(asking, questions_for(asking.sandbox)[:4])
    assert received[2] - received[0] >= 0.09
    assert received[3] - received[1] >= 0.09


@pytest.mark.parametrize(
    "fault",
    [
        faults.CutOff(),
        faults.StatusAnswer(500),
        faults.StatusAnswer(404),
        faults.StatusAnswer(408),
        faults.Unauthorized(),
        faults.Unauthorized(200),
        faults.RedirectToSignIn(),
    ],
    ids=repr,
)
def test_requests_are_counted_as_pipefy_counts_them(asking: Asking, fault: Fault) -> None:
    asking.sandbox.inject(fault)
    asking.usage(questions_for(asking.sandbox))
    assert asking.traffic.sent == asking.sandbox.graphql_requests
    assert asking.traffic.billed == asking.sandbox.billed_requests


def test_requests_that_never_went_out_are_not_counted(asking: Asking) -> None:
    asking.sandbox.inject(faults.StatusAnswer(500), endpoint="token", times=None)
    asking.failure(question_for(asking.sandbox))
    assert (asking.traffic.sent, asking.traffic.billed) == (0, 0)


def test_the_distance_to_pipefys_clock_is_measured(asking: Asking) -> None:
    asking.stats(question_for(asking.sandbox))
    assert asking.traffic.clock_skew_seconds == pytest.approx(0, abs=3)


def test_a_general_error_keeps_pipefys_correlation_id(asking: Asking) -> None:
    details = {"code": "INTERNAL_SERVER_ERROR", "correlation_id": "abc-123"}
    asking.sandbox.inject(faults.JsonAnswer({"error": {"message": "down", "details": details}}), times=None)
    error = asking.failure(question_for(asking.sandbox))
    assert (error.code, error.correlation_id, str(error)) == (
        "INTERNAL_SERVER_ERROR",
        "abc-123",
        "Pipefy says: down",
    )


def test_a_refused_query_keeps_pipefys_words_code_and_correlation_id(asking: Asking) -> None:
    item = {"message": "bad", "extensions": {"code": "ARGUMENT_ERROR", "correlation_id": "abc-123"}}
    asking.sandbox.inject(faults.JsonAnswer({"errors": [item]}, 422))
    error = asking.failure(question_for(asking.sandbox))
    assert (error.code, error.correlation_id) == ("ARGUMENT_ERROR", "abc-123")
    assert str(error).endswith(": bad")


def test_a_refusal_without_reason_doubts_the_address(asking: Asking) -> None:
    asking.sandbox.inject(faults.StatusAnswer(404))
    assert "check pipefy.graphql_url" in str(asking.failure(question_for(asking.sandbox)))

import httpx

from jobs.sandbox import Sandbox, faults
from tests.jobs.sandbox.asking import Asker


def statuses(ask: Asker, count: int) -> list[int]:
    return [ask.post("{ __typename }").status_code for _ in range(count)]


def test_a_fault_meets_one_request_unless_told_otherwise(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(503))
    assert statuses(ask, 2) == [503, 200]


def test_a_fault_meets_as_many_requests_as_it_is_told(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(503), times=2)
    assert statuses(ask, 3) == [503, 503, 200]


def test_faults_meet_requests_in_the_order_of_their_injection(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(500))
    sandbox.inject(faults.StatusAnswer(502))
    assert statuses(ask, 3) == [500, 502, 200]


def test_a_fault_can_let_requests_pass_first(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(503), after=2)
    assert statuses(ask, 4) == [200, 200, 503, 200]


def test_a_lasting_fault_stays_until_it_is_removed(sandbox: Sandbox, ask: Asker) -> None:
    injection = sandbox.inject(faults.StatusAnswer(503), times=None)
    assert statuses(ask, 3) == [503, 503, 503]
    sandbox.remove(injection)
    sandbox.remove(injection)
    assert statuses(ask, 1) == [200]


def test_all_faults_can_be_cleared(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(503), times=None)
    sandbox.inject(faults.FailedAliases(), times=None)
    sandbox.clear_faults()
    assert statuses(ask, 1) == [200]


def test_a_fault_meets_its_own_endpoint_only(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.StatusAnswer(503), endpoint="token")
    assert statuses(ask, 1) == [200]
    assert httpx.post(sandbox.token_url, trust_env=False).status_code == 503


def test_a_fault_of_the_answer_waits_for_a_request_that_it_concerns(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.inject(faults.FailedAliases(organizations=[second.uuid]))
    assert ask.stats(first.uuid) is not None
    assert ask.stats(second.uuid) is None
    assert ask.stats(second.uuid) is not None


def test_faults_of_the_answer_add_up(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.inject(faults.FailedAliases(code="ONE", organizations=[first.uuid]))
    sandbox.inject(faults.FailedAliases(code="TWO", organizations=[second.uuid]))
    errors = ask.usage(first.uuid, second.uuid).json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["ONE", "TWO"]

import pytest

from jobs.sandbox import Sandbox, faults
from tests.jobs.sandbox.asking import Asker

SHAPES = faults.error_shapes()


def test_chosen_organizations_fail_at_their_aliases(sandbox: Sandbox, ask: Asker) -> None:
    first, second, third, *_ = sandbox.organizations
    sandbox.inject(
        faults.FailedAliases(code="NOT_FOUND", message="Gone", organizations={first.uuid, third.uuid})
    )
    payload = ask.usage(first.uuid, second.uuid, third.uuid).json()
    assert [value is None for value in payload["data"].values()] == [True, False, True]
    assert [error["path"] for error in payload["errors"]] == [["a0"], ["a2"]]
    assert [error["message"] for error in payload["errors"]] == ["Gone", "Gone"]
    assert [error["extensions"]["code"] for error in payload["errors"]] == ["NOT_FOUND", "NOT_FOUND"]
    assert len({error["extensions"]["correlation_id"] for error in payload["errors"]}) == 2


def test_chosen_aliases_fail_with_an_internal_error(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.FailedAliases(aliases={"a1"}))
    payload = ask.usage(*(organization.uuid for organization in sandbox.organizations)).json()
    (error,) = payload["errors"]
    assert error["path"] == ["a1"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


def test_chosen_periods_fail(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.FailedAliases(periods={"last_month"}), times=None)
    uuid = sandbox.organizations[0].uuid
    assert ask.stats(uuid, "last_month") is None
    assert ask.stats(uuid, "current_month") is not None


def test_an_alias_that_was_denied_gets_no_second_error(sandbox: Sandbox, ask: Asker) -> None:
    first, second, *_ = sandbox.organizations
    sandbox.deny(first.uuid)
    sandbox.inject(faults.FailedAliases())
    errors = ask.usage(first.uuid, second.uuid).json()["errors"]
    assert [error["path"] for error in errors] == [["a0"], ["a1"]]


@pytest.mark.parametrize("at_path", [False, True])
def test_one_organization_can_cost_the_whole_answer(sandbox: Sandbox, ask: Asker, at_path: bool) -> None:  # noqa: FBT001 pytest passes parameters by name
    first, second, *_ = sandbox.organizations
    sandbox.inject(faults.LostAnswer(organizations=[second.uuid], at_path=at_path))
    payload = ask.usage(first.uuid, second.uuid).json()
    assert payload["data"] is None
    (error,) = payload["errors"]
    assert error.get("path") == (["a1"] if at_path else None)


def payload_of(shape: str, sandbox: Sandbox, ask: Asker) -> dict[str, object]:
    sandbox.inject(SHAPES[shape])
    response = ask.usage(sandbox.organizations[0].uuid)
    assert response.status_code == 200
    payload: dict[str, object] = response.json()
    return payload


@pytest.mark.parametrize(
    ("shape", "code"),
    [("1", "RESOURCE_NOT_FOUND"), ("4-denied", "PERMISSION_DENIED"), ("4-not-found", "RESOURCE_NOT_FOUND")],
)
def test_shapes_with_null_at_the_alias(sandbox: Sandbox, ask: Asker, shape: str, code: str) -> None:
    payload = payload_of(shape, sandbox, ask)
    assert payload["data"] == {"a0": None}
    assert f"'code': '{code}'" in str(payload["errors"])


def test_shape_2_has_errors_and_data_null_or_absent(sandbox: Sandbox, ask: Asker) -> None:
    assert payload_of("2-null", sandbox, ask)["data"] is None
    assert set(payload_of("2-absent", sandbox, ask)) == {"errors"}


def test_shape_3_has_data_beside_errors(sandbox: Sandbox, ask: Asker) -> None:
    payload = payload_of("3", sandbox, ask)
    assert payload["data"] == {"a0": sandbox.stats(sandbox.organizations[0].uuid, "current_month")}
    assert payload["errors"]


def test_shape_5_is_the_singular_form(sandbox: Sandbox, ask: Asker) -> None:
    error = payload_of("5", sandbox, ask)["error"]
    assert isinstance(error, dict)
    assert set(error) == {"message", "details"}


def test_shape_6_has_odd_items(sandbox: Sandbox, ask: Asker) -> None:
    assert payload_of("6-text", sandbox, ask)["errors"] == ["Something went wrong"]
    assert "message" not in str(payload_of("6-without-message", sandbox, ask)["errors"])


@pytest.mark.parametrize(
    ("shape", "words"), [("7", "doesn't exist on type"), ("8", "exceeds max complexity")]
)
def test_shapes_that_are_known_by_their_message(sandbox: Sandbox, ask: Asker, shape: str, words: str) -> None:
    assert words in str(payload_of(shape, sandbox, ask)["errors"])


@pytest.mark.parametrize("status", [400, 429, 500, 502, 503, 504])
def test_shape_9_is_an_http_error(sandbox: Sandbox, ask: Asker, status: int) -> None:
    sandbox.inject(SHAPES[f"9-{status}"])
    assert ask.usage(sandbox.organizations[0].uuid).status_code == status

import pytest

from jobs.pipefy.failures import ApiError, parse_errors


@pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": None}, {"error": None}, {"data": {}}])
def test_a_body_without_errors_has_none(body: dict[str, object]) -> None:
    assert parse_errors(body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "errors": [
                    {
                        "message": "m",
                        "path": ["a0", "history", 3],
                        "extensions": {"code": "C", "correlation_id": "x"},
                    }
                ]
            },
            ApiError("m", "C", "x", "a0"),
        ),
        (
            {"error": {"message": "m", "details": {"code": "C", "correlation_id": "x"}}},
            ApiError("m", "C", "x"),
        ),
        ({"error": "invalid_token"}, ApiError("invalid_token")),
        ({"errors": "down"}, ApiError("down")),
        ({"errors": {"message": "m"}}, ApiError("m")),
        ({"errors": ["text"]}, ApiError("text")),
        ({"errors": [None]}, ApiError("None")),
        ({"errors": [5]}, ApiError("5")),
        (
            {"errors": [{"title": "Unauthorized", "detail": "revoked"}]},
            ApiError("Unauthorized: revoked", "UNAUTHORIZED"),
        ),
        ({"errors": [{"title": "Unauthorized"}]}, ApiError("Unauthorized", "UNAUTHORIZED")),
        ({"errors": [{"detail": "only that"}]}, ApiError("only that")),
        ({"errors": [{"message": "m", "code": "C", "correlation_id": 7}]}, ApiError("m", "C", "7")),
        ({"errors": [{"message": ["m"]}]}, ApiError("['m']")),
        ({"errors": [{"extensions": {"code": "C"}}]}, ApiError("{'extensions': {'code': 'C'}}", "C")),
        ({"errors": [{"message": "m", "extensions": [], "path": "a0"}]}, ApiError("m")),
        ({"errors": [{"message": "m", "path": []}]}, ApiError("m")),
        ({"errors": [{"message": " two\n  lines "}]}, ApiError("two lines")),
    ],
)
def test_every_shape_of_error_is_read(body: dict[str, object], expected: ApiError) -> None:
    assert parse_errors(body) == [expected]


def test_both_forms_may_stand_side_by_side() -> None:
    errors = parse_errors({"errors": [{"message": "first"}], "error": {"message": "second"}})
    assert [error.message for error in errors] == ["first", "second"]


def test_what_nobody_would_read_is_cut() -> None:
    item = {
        "message": "m" * 10_000,
        "extensions": {"code": "C" * 1000, "correlation_id": "x" * 1000},
    }
    [error] = parse_errors({"errors": [item]})
    assert len(error.message) == 501
    assert error.message.endswith("…")
    assert (len(error.code or ""), len(error.correlation_id or "")) == (64, 100)


@pytest.mark.parametrize(
    ("message", "code", "expected"),
    [
        ("m", "PERMISSION_DENIED", "PERMISSION_DENIED"),
        ("Couldn't find Organization with 'id'=5", None, "RESOURCE_NOT_FOUND"),
        ("Timeout on Query.organization", None, "TIMEOUT"),
        ("odd", None, "UNKNOWN"),
    ],
)
def test_every_error_has_a_code(message: str, code: str | None, expected: str) -> None:
    assert ApiError(message, code).for_organization().code == expected


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("FORBIDDEN", "the service account's role"),
        ("RECORD_NOT_FOUND", "check its number or UUID"),
        ("FEATURE_NOT_ENABLED", "integrations are not enabled there"),
        ("FEATURE_NOT_ALLOWED_BY_ORGANIZATION_PLAN", "its plan has no integrations"),
        ("USAGE_LIMIT_EXCEEDED", "raise the plan"),
    ],
)
def test_a_known_code_comes_with_what_mends_it(code: str, advice: str) -> None:
    assert advice in str(ApiError("no", code).for_organization())


def test_a_number_that_is_not_found_comes_with_what_mends_it() -> None:
    assert "check its number" in str(ApiError("Couldn't find Organization").for_organization())

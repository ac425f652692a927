"""What the settings take, beyond what their types say."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.settings import Settings, SnapshotSettings

UUID = "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"


def _settings(*, pipefy: dict[str, Any] | None = None, **account: object) -> Settings:
    return Settings.model_validate(
        {
            "pipefy": pipefy or {},
            "accounts": [{"name": "main", "organizations": ["1"], **account}],
            "database": {"url": "sqlite:///usage.db"},
        },
        context={"folder": Path("/etc/usage")},
    )


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("all", []),
        (["300123456"], ["300123456"]),
        ([300123456, " 300123457 "], ["300123456", "300123457"]),
        ([UUID.upper()], [UUID]),
        (
            ["{" + UUID + "}", "00000000000040000000000000000001"],
            [UUID, "00000000-0000-4000-0000-000000000001"],
        ),
    ],
)
def test_an_organization_is_a_number_or_a_uuid_in_any_spelling(written: object, listed: list[str]) -> None:
    (account,) = _settings(organizations=written).accounts

    assert account.listed == listed


@pytest.mark.parametrize(
    "address",
    [
        "https://api.pipefy.com/graphql",
        "https://tenant.example:8443/graphql?x=1",
        "http://localhost:8899/graphql",
        "http://127.0.0.1/graphql",
        "http://127.8.9.10/graphql",
        "http://[::1]:8899/graphql",
    ],
)
def test_addresses_are_https_or_on_this_machine(address: str) -> None:
    settings = _settings(pipefy={"graphql_url": address, "token_url": address}, token_url=address)

    assert settings.pipefy.graphql_url == address
    assert settings.accounts[0].token_url == address


@pytest.mark.parametrize(
    "address",
    ["http://api.pipefy.com/x", "http://localhost.evil.test/x", "http://192.168.0.9/x", "http://[fe80::1]/x"],
)
@pytest.mark.parametrize("key", ["pipefy.graphql_url", "pipefy.token_url", "accounts[0].token_url"])
def test_secrets_travel_unencrypted_only_where_that_is_allowed_by_name(key: str, address: str) -> None:
    name = key.rpartition(".")[2]
    pipefy = {name: address} if key.startswith("pipefy") else {}
    account = {} if pipefy else {name: address}

    with pytest.raises(ValidationError, match="would send secrets unencrypted; write https://") as refused:
        _settings(pipefy=pipefy, **account)

    assert f"{key} = {address!r}" in str(refused.value)
    allowed = _settings(pipefy={**pipefy, "allow_insecure_urls": True}, **account)
    assert allowed.pipefy.allow_insecure_urls


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.pipefy.com",
        "ftp://api.pipefy.com/graphql",
        "file:///etc/passwd",
        "https:///graphql",
        "https://[bad/graphql",
        "https://host:99999/graphql",
        "https://host:port/graphql",
        " https://api.pipefy.com/graphql",
        "https://api.pipefy.com/ graphql",
    ],
)
def test_what_is_no_web_address_is_refused_with_one(address: str) -> None:
    with pytest.raises(ValidationError, match="is no web address; write one like https://api"):
        _settings(pipefy={"graphql_url": address})


@pytest.mark.parametrize(
    "address", ["https://me:s3cr3t@host/x", "https://s3cr3t@host/x", "http://:s3cr3t@localhost"]
)
def test_an_address_may_not_hold_credentials(address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _settings(pipefy={"token_url": address})

    (error,) = refused.value.errors()
    assert "must not hold credentials; name them by client_id_env" in error["msg"]
    assert "s3cr3t" not in error["msg"]


def test_a_path_without_a_folder_to_be_relative_to_stays_as_it_is() -> None:
    assert SnapshotSettings(path=Path("here")).path == Path("here")

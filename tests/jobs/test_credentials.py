"""Secrets, from the variables and files that the settings name."""

from pathlib import Path
from typing import Any

import pytest

from jobs.credentials import BearerToken, ClientCredentials, load_credentials, load_database_url
from jobs.errors import ConfigurationError
from jobs.settings import AccountSettings, DatabaseSettings, Settings
from storage.database import parse_url


def _account(**keys: Any) -> AccountSettings:  # noqa: ANN401 # whatever a file might say
    return AccountSettings(name="main", organizations="all", **keys)


def _database_url(path: Path, environ: dict[str, str] | None = None, **keys: Any) -> str:  # noqa: ANN401 # the same
    settings = Settings(accounts=[_account()], database=DatabaseSettings(**keys))
    return load_database_url(settings, path, environ or {}).get_secret_value()


def test_a_client_id_and_secret_come_from_the_usual_variables() -> None:
    environ = {"PIPEFY_SERVICE_ACCOUNT_CLIENT_ID": " id ", "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET": "secret\n"}

    credentials = load_credentials(_account(), environ)

    assert isinstance(credentials, ClientCredentials)
    assert credentials.client_id == "id"
    assert credentials.client_secret.get_secret_value() == "secret"
    assert "secret'" not in repr(credentials)


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
    account = _account(client_id_env="ID", client_secret_file=tmp_path / "secret")

    credentials = load_credentials(account, {"ID": "id"})

    assert isinstance(credentials, ClientCredentials)
    assert credentials.client_secret.get_secret_value() == "from a file"


def test_a_ready_token_needs_no_client_id(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n", encoding="utf-8")

    by_variable = load_credentials(_account(token_env="TOKEN"), {"TOKEN": "ready"})
    by_file = load_credentials(_account(token_file=tmp_path / "token"), {})

    assert isinstance(by_variable, BearerToken)
    assert by_variable.token.get_secret_value() == "ready"
    assert isinstance(by_file, BearerToken)
    assert by_file.token.get_secret_value() == "from a file"


@pytest.mark.parametrize(
    ("keys", "environ", "complaint"),
    [
        ({}, {}, "client_id_env names the variable PIPEFY_SERVICE_ACCOUNT_CLIENT_ID, which is not set"),
        (
            {"client_id_env": "ID"},
            {"ID": "x"},
            "client_secret_env names the variable PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET, which is not set",
        ),
        (
            {"client_id_env": "ID", "client_secret_env": "SECRET"},
            {"ID": "x", "SECRET": " \n"},
            "client_secret_env names the variable SECRET, which is not set",
        ),
        ({"token_env": "TOKEN"}, {"TOKEN": ""}, "token_env names the variable TOKEN, which is not set"),
    ],
)
def test_a_variable_that_is_not_set_is_named_with_its_account(
    keys: dict[str, Any], environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_credentials(_account(**keys), environ)

    assert str(refused.value).startswith(f"account 'main': {complaint}")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "cannot be read")],
)
@pytest.mark.parametrize("key", ["token_file", "client_secret_file"])
def test_a_file_without_a_secret_is_named_with_its_account(
    tmp_path: Path, key: str, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError) as refused:
        load_credentials(_account(**{key: path}), {"PIPEFY_SERVICE_ACCOUNT_CLIENT_ID": "id"})

    assert str(refused.value).startswith(f"account 'main': {key} = {path} {complaint}")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///usage.db", "sqlite:////etc/p usage/usage.db"),
        ("sqlite:///data/usage.db", "sqlite:////etc/p usage/data/usage.db"),
        ("sqlite+pysqlite:///usage.db", "sqlite+pysqlite:////etc/p usage/usage.db"),
        ("sqlite:////srv/usage.db", "sqlite:////srv/usage.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///", "sqlite:///"),
        ("postgresql://host/usage.db", "postgresql://host/usage.db"),
    ],
)
def test_a_sqlite_file_is_relative_to_the_configuration(written: str, meant: str) -> None:
    assert _database_url(Path("/etc/p usage/config.toml"), url=written) == meant


def test_a_folder_with_an_odd_name_is_the_folder_that_is_opened(tmp_path: Path) -> None:
    config = tmp_path / "Área 51%41 + more?" / "config.toml"

    url = parse_url(_database_url(config, url="sqlite:///usage.db"))

    assert url.database == str(config.parent / "usage.db")


def test_the_database_address_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n", encoding="utf-8")
    config = tmp_path / "config.toml"

    assert _database_url(config, url_file=tmp_path / "url") == "postgresql://u:p@h/d"
    assert _database_url(config, {"URL": "sqlite:///a.db"}, url_env="URL") == f"sqlite:///{tmp_path}/a.db"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (
            {"url_env": "URL"},
            "database.url_env names the variable URL, which is not set; set it: export URL=...",
        ),
        ({"url_file": Path("/nowhere/url")}, "database.url_file = /nowhere/url cannot be read"),
    ],
)
def test_a_database_address_that_is_not_there_is_named_by_its_key(
    keys: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _database_url(Path("config.toml"), **keys)

    assert str(refused.value).startswith(complaint)

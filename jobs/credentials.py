"""An account's secrets and the database's address, from the variables or files that the settings name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from jobs.errors import ConfigurationError
from jobs.settings import AccountSettings, NoticeSettings, Settings

_RELATIVE_SQLITE = re.compile(r"(?P<scheme>sqlite(\+\w+)?:///)(?P<file>[^/:].*)")


@dataclass(frozen=True)
class ClientCredentials:
    """A service account's client id and secret."""

    client_id: str
    client_secret: SecretStr


@dataclass(frozen=True)
class BearerToken:
    """A ready token, used as it is."""

    token: SecretStr


Credentials = ClientCredentials | BearerToken


@dataclass(frozen=True)
class NoticeAddresses:
    """Where notices go; the addresses hold secrets.

    Attributes:
        ping_url: The monitor's, if there is one.
        urls: The people's.
    """

    ping_url: SecretStr | None
    urls: tuple[SecretStr, ...]


def load_credentials(account: AccountSettings, environ: Mapping[str, str]) -> Credentials:
    """The account's secrets, from the places that its settings name.

    Raises:
        ConfigurationError: A variable is not set, or a file cannot be read.
    """
    where = f"account {account.name!r}"
    if account.token_file:
        return BearerToken(_secret_file(account.token_file, f"{where}: token_file"))
    if account.token_env:
        return BearerToken(_secret_variable(account.token_env, f"{where}: token_env", environ))
    client_id = _secret_variable(account.client_id_env, f"{where}: client_id_env", environ).get_secret_value()
    if account.client_secret_file:
        return ClientCredentials(
            client_id, _secret_file(account.client_secret_file, f"{where}: client_secret_file")
        )
    return ClientCredentials(
        client_id, _secret_variable(account.client_secret_env, f"{where}: client_secret_env", environ)
    )


def load_notice_addresses(notices: NoticeSettings, environ: Mapping[str, str]) -> NoticeAddresses:
    """Where pings and messages go.

    Raises:
        ConfigurationError: A variable is not set, or a file cannot be read.
    """
    ping_url = _secret(notices.ping_url_env, notices.ping_url_file, "notices.ping_url", environ)
    urls = _secret(notices.urls_env, notices.urls_file, "notices.urls", environ)
    return NoticeAddresses(ping_url, tuple(map(SecretStr, urls.get_secret_value().split())) if urls else ())


def _secret(
    variable: str | None, path: Path | None, key: str, environ: Mapping[str, str]
) -> SecretStr | None:
    if path is not None:
        return _secret_file(path, f"{key}_file")
    if variable is not None:
        return _secret_variable(variable, f"{key}_env", environ)
    return None


def load_database_url(settings: Settings, path: Path, environ: Mapping[str, str]) -> SecretStr:
    """The database's address; a relative SQLite file is taken from the configuration's folder.

    Raises:
        ConfigurationError: A variable is not set, or a file cannot be read.
    """
    database = settings.database
    if database.url_file:
        url = _secret_file(database.url_file, "database.url_file").get_secret_value()
    elif database.url_env:
        url = _secret_variable(database.url_env, "database.url_env", environ).get_secret_value()
    else:
        url = database.url or ""
    if relative := _RELATIVE_SQLITE.fullmatch(url):
        # What an address reads as an escape or as the end of the file's name is a letter of the folder's.
        folder = str(path.resolve().parent).replace("%", "%25").replace("?", "%3F")
        url = relative["scheme"] + str(Path(folder) / relative["file"])
    return SecretStr(url)


def _secret_variable(name: str, key: str, environ: Mapping[str, str]) -> SecretStr:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(
            f"{key} names the variable {name}, which is not set; set it: export {name}=..."
        )
    return SecretStr(value)


def _secret_file(path: Path, key: str) -> SecretStr:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{key} = {path} cannot be read: {exc}") from exc
    if not value:
        raise ConfigurationError(f"{key} = {path} is empty; write the secret into it")
    return SecretStr(value)

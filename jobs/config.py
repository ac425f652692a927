"""The configuration: one TOML file, overridden key by key from the environment, whole or not at all.

``PIPEFY_USAGE__DATABASE__URL`` replaces ``url`` under ``[database]``;
``PIPEFY_USAGE__ACCOUNTS__0__TOKEN_URL`` replaces ``token_url`` of the first account. A value that reads as
TOML (``true``, ``8``, ``["a", "b"]``) is taken as TOML, anything else as text.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs.complaints import explain
from jobs.errors import ConfigurationError
from jobs.settings import Settings

CONFIG_NAME = "config.toml"
CONFIG_VARIABLE = "PIPEFY_USAGE_CONFIG"
OVERRIDE_PREFIX = "PIPEFY_USAGE__"

# The user ends at the first colon and the password at the @, as SQLAlchemy reads an address.
_PASSWORD = re.compile(r"://[^:/@]*:[^@]+@|[?&](password|passwd|sslpassword)=", re.IGNORECASE)


def find_config(named: Path | None, environ: Mapping[str, str], folder: Path) -> Path:
    """The file: the one named, else that of ``PIPEFY_USAGE_CONFIG``, else ``config.toml`` in the folder.

    Raises:
        ConfigurationError: There is none.
    """
    if named is not None:
        return named
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    if (found := folder / CONFIG_NAME).is_file():
        return found
    raise ConfigurationError(
        f"no configuration: {found} does not exist. Make one with: pipefy-usage init "
        f"(or name one with --config FILE or {CONFIG_VARIABLE})"
    )


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Reads the file and the overrides.

    Args:
        path: The TOML file; relative paths in it are relative to its folder.
        environ: The environment.

    Raises:
        ConfigurationError: Something in it cannot be used: one line for each key, with what to write.
    """
    document = _read_toml(path)
    _refuse_secrets(path, document)
    overridden = _override(document, environ)
    try:
        return Settings.model_validate(document, context={"folder": path.resolve().parent})
    except ValidationError as exc:
        lines = [explain(error, overridden) for error in exc.errors(include_url=False)]
        raise ConfigurationError("\n".join(f"{path}: {line}" for line in lines)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"{path} does not exist. Name another file, or make one with: pipefy-usage init"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{path} is not UTF-8 (byte {exc.start}); save it as UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"{path} is no TOML: {exc}; texts stand in quotes, a key once") from exc


def _refuse_secrets(path: Path, document: Mapping[str, Any]) -> None:
    """A password in the file would be read by whoever reads the file."""
    database = document.get("database")
    url = database.get("url") if isinstance(database, dict) else None
    if isinstance(url, str) and holds_password(url):
        raise ConfigurationError(
            f"{path}: database.url holds a password; move the address to a variable and write "
            'url_env = "USAGE_DATABASE_URL", or to a file and write url_file = "..."'
        )


def holds_password(url: str) -> bool:
    """Whether a database's address holds a password: before its ``@``, or as one of its parameters."""
    return _PASSWORD.search(url) is not None


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str | int, ...], str]:
    """Writes the environment's values into the document; returns which variable set which key."""
    overridden: dict[tuple[str | int, ...], str] = {}
    for name in sorted(environ):
        if name.startswith(OVERRIDE_PREFIX):
            key = tuple(
                int(part) if part.isdecimal() else part.lower()
                for part in name.removeprefix(OVERRIDE_PREFIX).split("__")
            )
            if "" in key:
                raise _no_key(name)
            _set(document, name, key, _toml_value(environ[name]))
            overridden[key] = name
    return overridden


def _set(document: dict[str, Any], variable: str, key: tuple[str | int, ...], value: object) -> None:
    place: Any = document
    for part, following in pairwise(key):
        _reach(place, variable, part, [] if isinstance(following, int) else {})
        place = place[part]
    _reach(place, variable, key[-1], None)
    place[key[-1]] = value


def _reach(place: object, variable: str, part: str | int, missing: object) -> None:
    """Makes sure that ``place[part]`` is there."""
    if isinstance(place, dict) and isinstance(part, str):
        place.setdefault(part, missing)
    elif isinstance(place, list) and isinstance(part, int) and part <= len(place):
        place.extend([missing] if part == len(place) else [])
    else:
        raise _no_key(variable)


def _no_key(variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"the variable {variable} names no key of the configuration; unset it, or name one like "
        f"{OVERRIDE_PREFIX}DATABASE__URL or {OVERRIDE_PREFIX}ACCOUNTS__0__TOKEN_URL"
    )


def _toml_value(text: str) -> object:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    # No key is a date or time, so 05:15:00 was meant as text.
    return text if isinstance(value, date | time) else value

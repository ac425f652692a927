"""From the command line's words to real objects: settings, secrets, the database."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from jobs.config import find_config, load_settings
from jobs.credentials import Credentials, load_credentials, load_database_url
from jobs.errors import ConfigurationError
from jobs.settings import Settings, parse_organization_id
from storage.database import build_engine, parse_url, sqlite_path
from storage.errors import DatabaseUnavailableError


@dataclass(frozen=True)
class Wiring:
    """What a command works with.

    Attributes:
        path: The configuration file.
        settings: What it says.
        engine: The database.
    """

    path: Path
    settings: Settings
    engine: sa.Engine


def build_wiring(named: Path | None, environ: Mapping[str, str], folder: Path) -> Wiring:
    """Loads the configuration; touches neither network nor database.

    Raises:
        ConfigurationError: It cannot be used; the message says what to write.
    """
    path = find_config(named, environ, folder)
    settings = load_settings(path, environ)
    url = load_database_url(settings, path, environ)
    try:
        engine = build_engine(parse_url(url.get_secret_value()))
    except DatabaseUnavailableError as exc:
        raise ConfigurationError(f"{path}: database: {exc}") from exc
    return Wiring(path, settings, engine)


def load_all_credentials(settings: Settings, environ: Mapping[str, str]) -> dict[str, Credentials]:
    """Every account's secrets, by its name.

    Raises:
        ConfigurationError: One line for each that is missing.
    """
    credentials: dict[str, Credentials] = {}
    complaints = []
    for account in settings.accounts:
        try:
            credentials[account.name] = load_credentials(account, environ)
        except ConfigurationError as exc:
            complaints.append(str(exc))
    if complaints:
        raise ConfigurationError("\n".join(complaints))
    return credentials


def require_writable(wiring: Wiring) -> None:
    """Makes sure that a run can write where it is told to, before it begins.

    Raises:
        ConfigurationError: One line for each place that cannot be written.
    """
    snapshots = wiring.settings.snapshots.path
    places = {"snapshots.path": next(filter(_is_there, (snapshots, *snapshots.parents)))}
    if (file := sqlite_path(wiring.engine.url)) is not None:
        places["database"] = file.parent  # which SQLite does not make
    complaints = [f"{key}: {problem}" for key, folder in places.items() if (problem := _problem(folder))]
    if complaints:
        raise ConfigurationError("\n".join(f"{wiring.path}: {complaint}" for complaint in complaints))


def _problem(folder: Path) -> str | None:
    if not _is_there(folder):
        return f"the folder {folder} does not exist; make it, or name another place"
    if not folder.is_dir():
        return f"{folder} is no folder; name another place, or move that file away"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written by this user; name another folder, or change its rights"
    return None


def _is_there(path: Path) -> bool:
    # Not Path.exists, which raises where this user may not look.
    return os.access(path, os.F_OK)


def selected_organizations(named: Sequence[str]) -> tuple[str, ...]:
    """The organizations that were named on the command line, each once, UUIDs in lower case with hyphens.

    Raises:
        ConfigurationError: One is neither a number nor a UUID.
    """
    try:
        return tuple(dict.fromkeys(map(parse_organization_id, named)))
    except ValueError as exc:
        raise ConfigurationError(f"--organization: {exc}") from None

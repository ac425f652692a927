"""``init``: asks what a configuration needs, and writes it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from jobs.config import holds_password, load_settings
from jobs.errors import ConfigurationError
from jobs.template import DATABASE_VARIABLE, ConfigAnswers, render_config
from storage.database import parse_url
from storage.errors import DatabaseUnavailableError


def ask_answers(organizations: Sequence[str], given: Mapping[str, str], *, can_ask: bool) -> ConfigAnswers:
    """The answers that options gave; the rest is asked for, or left at its default where nobody can answer.

    Raises:
        ConfigurationError: No organization is named and nobody can be asked.
    """
    answers = dict(given)
    named = list(organizations)
    if can_ask:
        if not named:
            click.echo("Which organizations? Their numbers (the digits in the app's address) or UUIDs,")
            entry = click.prompt(
                "separated by spaces, or all for every one the account may read", default="all"
            )
            named = entry.replace(",", " ").split()
        for name, question in (
            ("database", "Database address"),
            ("snapshots", "Folder for the Parquet snapshots"),
        ):
            if name not in answers:
                answers[name] = click.prompt(question, default=getattr(ConfigAnswers, name))
    if not named:
        raise ConfigurationError(
            "no organization is named; add --organization 300123456, or --organization all"
        )
    return ConfigAnswers(organizations=[] if named == ["all"] else named, **answers)


def write_config(answers: ConfigAnswers, path: Path, *, replace: bool) -> Iterator[str]:
    """Writes the configuration if it can be used, and yields what to do next, a line at a time.

    Raises:
        ConfigurationError: An answer cannot be used, or the file is there already; nothing was written.
    """
    if path.exists() and not replace:
        raise ConfigurationError(f"{path} is there already; add --force to replace it, or --output another")
    has_password = holds_password(answers.database)
    try:
        parse_url(answers.database)
    except DatabaseUnavailableError as exc:
        raise ConfigurationError(f"--database: {exc}") from exc
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(render_config(answers, database_holds_password=has_password), encoding="utf-8")
        load_settings(draft, {})
        draft.replace(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc
    except ConfigurationError as exc:
        raise ConfigurationError(str(exc).replace(f"{draft}: ", "")) from exc
    finally:
        draft.unlink(missing_ok=True)
    yield f"Wrote {path}. Next, with the values of your service account:\n"
    yield "  export PIPEFY_SERVICE_ACCOUNT_CLIENT_ID=..."
    yield "  export PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET=..."
    if has_password:
        yield f"  export {DATABASE_VARIABLE}=...   # the database's address with its password"
    option = "" if path == Path("config.toml") else f" --config {shlex.quote(str(path))}"
    yield f"  pipefy-usage check{option}"
    yield f"  pipefy-usage run{option}"

"""The demo: the main job on real components, against the stand-in API, on two days in a row."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobs.errors import ConfigurationError
from jobs.export import Observer, RunRequest, run_export
from jobs.report import RunReport
from jobs.sandbox import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Sandbox
from jobs.template import ConfigAnswers, render_config
from jobs.wiring import Wiring, build_wiring, load_all_credentials
from storage.schema import open_stored
from storage.status import read_runs

SANDBOX_PORT = 8899
_ADDRESS = f"http://127.0.0.1:{SANDBOX_PORT}"

_ORGANIZATIONS = 5
# A time of day at which a scheduled run would be at work.
_HOUR = 5


def run_demo(
    folder: Path, now: datetime, observe: Callable[[], AbstractContextManager[Observer]]
) -> Iterator[tuple[Wiring, RunReport]]:
    """Runs the export for yesterday, then for today, into a SQLite file and snapshots under the folder.

    The configuration that it leaves there asks ``pipefy-usage sandbox`` at its usual port; the demo itself
    serves the stand-in at a port of its own.

    Where an earlier demo has come as far as today, the run for yesterday is left out: Pipefy's past is not
    told twice. A configuration that is not a demo's is left alone, and so is all that lies beside it.

    Args:
        folder: Where all of it lies; made if it is missing.
        now: The present instant (aware).
        observe: Shows how a run goes on.

    Raises:
        ConfigurationError: The folder cannot be made, or holds another configuration.
    """
    config = folder / "config.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_taken = config.exists() and _ADDRESS not in config.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be used: {exc.strerror}; name another --folder") from exc
    if is_taken:
        raise ConfigurationError(f"{config} is not the demo's; name a --folder of its own")
    config.write_text(_render_config(), encoding="utf-8")
    today = now.astimezone(UTC).replace(hour=_HOUR, minute=15, second=0, microsecond=0)
    with Sandbox(organizations=_ORGANIZATIONS) as sandbox:
        environ = sandbox_environment() | {
            "PIPEFY_USAGE__PIPEFY__GRAPHQL_URL": sandbox.graphql_url,
            "PIPEFY_USAGE__PIPEFY__TOKEN_URL": sandbox.token_url,
        }
        wiring = build_wiring(config, environ, folder)
        credentials = load_all_credentials(wiring.settings, environ)
        for day in _days(wiring, today):
            sandbox.today = day.date()
            with observe() as observer:
                report = run_export(
                    RunRequest(wiring.settings, credentials, now=day), wiring.engine, observer
                )
            yield wiring, report


def _days(wiring: Wiring, today: datetime) -> list[datetime]:
    with open_stored(wiring.engine) as connection:
        last = [] if connection is None else read_runs(connection, limit=1)
    yesterday = today - timedelta(days=1)
    return [today] if last and last[0].started_at > yesterday else [yesterday, today]


def sandbox_environment() -> dict[str, str]:
    """The secrets of the stand-in API, under the names that a configuration has by default."""
    return {
        "PIPEFY_SERVICE_ACCOUNT_CLIENT_ID": DEFAULT_CLIENT_ID,
        "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET": DEFAULT_CLIENT_SECRET,
    }


def sandbox_greeting(sandbox: Sandbox) -> str:
    """How to try the program against a stand-in API that is running."""
    secrets = "\n".join(f"  export {name}={value}" for name, value in sandbox_environment().items())
    some = "\n".join(f"  {each.id}  {each.uuid}  {each.name}" for each in sandbox.organizations[:3])
    return f"""A stand-in for Pipefy's API is running. Try it from another terminal:

{secrets}
  pipefy-usage init --organization all \\
      --graphql-url {sandbox.graphql_url} --token-url {sandbox.token_url}
  pipefy-usage run

It has {len(sandbox.organizations)} organizations, the first of them:

{some}

Ctrl-C stops it."""


def _render_config() -> str:
    return render_config(
        ConfigAnswers(
            organizations=(), graphql_url=f"{_ADDRESS}/graphql", token_url=f"{_ADDRESS}/oauth/token"
        )
    )

"""The command line: parses, wires the real objects, chooses the exit status. Heavy imports wait for use."""

import json
import os
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs import __version__
from jobs.periods import Period

if TYPE_CHECKING:
    from jobs.wiring import Wiring

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_PERIODS = click.Choice([period.value for period in Period])

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The configuration; else $PIPEFY_USAGE_CONFIG, else ./config.toml.",
)


def _load(config: Path | None) -> "Wiring":
    from jobs.wiring import build_wiring

    return build_wiring(config, os.environ, Path.cwd())


def _now() -> datetime:
    return datetime.now(UTC)


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="pipefy-usage")
def cli() -> None:
    """Keep the history of Pipefy's integrations task usage, in SQL tables and Parquet snapshots.

    Pipefy tells usage by day for this month and the last only. Run once a day, this program stores each
    day for good, and records whatever Pipefy changes later.

    \b
    Try it without an account:   pipefy-usage demo
    Set it up:                   pipefy-usage init, then check, then run
    """


@cli.command()
@config_option
@click.option(
    "--organization", "-o", multiple=True, metavar="ID", help="Only this number or UUID; repeatable."
)
@click.option("--period", "-p", multiple=True, type=_PERIODS, help="Only this period; repeatable.")
@click.option(
    "--dry-run", is_flag=True, help="Fetch and show what would be inserted and changed; write nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def run(
    config: Path | None,
    organization: tuple[str, ...],
    period: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Export now: ask Pipefy, store what differs, write today's snapshot.

    \b
    Example:  pipefy-usage run --organization 300123456 --dry-run

    Exit status: 0 all exported, 1 some failed, 2 nothing could be done, 3 another run is in progress.
    """
    from jobs.display.console import build_console
    from jobs.display.progress import show_progress
    from jobs.display.report import show_report
    from jobs.export import RunRequest, run_export
    from jobs.logs import configure_logs
    from jobs.preview import preview_export
    from jobs.wiring import load_all_credentials, require_writable, selected_organizations
    from storage.database import masked

    configure_logs("human")
    wiring = _load(config)
    request = RunRequest(
        settings=wiring.settings,
        credentials=load_all_credentials(wiring.settings, os.environ),
        now=_now(),
        organizations=selected_organizations(organization),
        periods=[Period(each) for each in dict.fromkeys(period)],
    )
    if not dry_run:
        require_writable(wiring)
    with show_progress() as observer:
        report = (preview_export if dry_run else run_export)(request, wiring.engine, observer)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show_report(build_console(), report, database=masked(wiring.engine.url))
    return report.exit_status


@cli.command()
@config_option
def serve(config: Path | None) -> int:
    """Run as a service: export on schedule, catch up what was missed, tell how it is.

    SIGTERM and Ctrl-C end it after the batch in hand; SIGHUP has it read its configuration anew.
    /healthz, /readyz and /metrics are at the address under [health].

    \b
    Example:  pipefy-usage serve --config /etc/pipefy-usage/config.toml

    Exit status: 0 after a signal, 2 if it cannot start, 1 if its scheduler died.
    """
    from jobs.display.progress import show_failures
    from jobs.logs import configure_logs
    from jobs.service import Service
    from jobs.serving import build_setup
    from jobs.systemd import Supervisor

    configure_logs(_load(config).settings.logs.format)
    service = Service(
        lambda: build_setup(config, os.environ, Path.cwd()),
        supervisor=Supervisor(os.environ),
        observe=show_failures,
    )
    return service.serve()


@cli.command()
@config_option
def check(config: Path | None) -> int:
    """Try everything that a run needs, and say what mends what does not work.

    Asks Pipefy for this month of every organization, which is billed like a run; stores nothing.

    \b
    Example:  pipefy-usage check --config /etc/pipefy-usage/config.toml

    Exit status: 0 if a run would work, 1 if any check fails, 2 if the configuration cannot be used.
    """
    from jobs.checks import Check, CheckState, check_all
    from jobs.display.checks import show_check
    from jobs.display.console import build_console
    from jobs.logs import configure_logs
    from jobs.wiring import load_all_credentials

    configure_logs("human")
    wiring = _load(config)
    credentials = load_all_credentials(wiring.settings, os.environ)
    console = build_console()
    show_check(console, Check("configuration", CheckState.OK, f"{wiring.path} can be used"))
    failed = False
    for each in check_all(wiring.settings, credentials, wiring.engine, now=_now()):
        show_check(console, each)
        failed = failed or each.state is CheckState.FAILED
    return 1 if failed else 0


@cli.command()
@config_option
def migrate(config: Path | None) -> int:
    """Create the tables, or bring them up to date after an update of the program.

    \b
    Example:  pipefy-usage migrate

    Two at once wait for each other. A run does this by itself unless auto_migrate = false.
    """
    from storage.database import masked
    from storage.schema import migrate as migrate_schema

    wiring = _load(config)
    before, after = migrate_schema(wiring.engine)
    done = "was up to date" if before == after else f"went from {before or 'nothing'} to {after}"
    click.echo(f"{masked(wiring.engine.url)} {done}")
    return 0


@cli.command()
@config_option
@click.option(
    "--runs", default=5, show_default=True, type=click.IntRange(min=1), help="How many runs to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(config: Path | None, runs: int, *, as_json: bool) -> int:
    """Show the last runs and, per organization, the newest day stored, last success and last error.

    \b
    Example:  pipefy-usage status --runs 10
    """
    from jobs.display.console import build_console
    from jobs.display.status import show_status, status_json
    from storage.database import masked
    from storage.schema import open_stored
    from storage.status import read_organization_statuses, read_runs

    engine = _load(config).engine
    with open_stored(engine) as connection:
        if connection is None:
            raise click.ClickException(f"{masked(engine.url)} holds nothing yet; run: pipefy-usage run")
        last_runs = read_runs(connection, limit=runs)
        organizations = read_organization_statuses(connection)
    if as_json:
        click.echo(json.dumps(status_json(last_runs, organizations), indent=2))
    else:
        show_status(build_console(), last_runs, organizations)
    return 0


@cli.command()
@click.option(
    "--organization", "-o", multiple=True, metavar="ID", help="A number or UUID, or all; repeatable."
)
@click.option("--database", metavar="URL", help="Where the tables go.  [default: sqlite:///usage.db]")
@click.option("--snapshots", metavar="FOLDER", help="Where the Parquet files go.  [default: snapshots]")
@click.option("--graphql-url", metavar="URL", help="Where queries go.  [default: Pipefy's]")
@click.option("--token-url", metavar="URL", help="Where tokens come from.  [default: Pipefy's]")
@click.option("--cron", metavar="LINE", help="When the service runs.  [default: 15 5 * * *]")
@click.option("--timezone", metavar="ZONE", help="The zone of --cron.  [default: UTC]")
@click.option(
    "--output",
    default="config.toml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def init(organization: tuple[str, ...], output: Path, *, force: bool, **answers: str | None) -> int:
    """Write a commented configuration; asks for what no option says, if a person is there to answer.

    \b
    Example:  pipefy-usage init --organization 300123456 --organization 300654321

    Secrets are not asked for: the file names the environment variables that hold them.
    """
    from jobs.setup import ask_answers, write_config

    given = {name: answer for name, answer in answers.items() if answer is not None}
    asked = ask_answers(organization, given, can_ask=sys.stdin.isatty())
    for line in write_config(asked, output, replace=force):
        click.echo(line)
    return 0


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8899, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--organizations", default=25, show_default=True, type=click.IntRange(min=0), help="How many it has."
)
@click.option("--seed", default=7, show_default=True, help="Other seeds give other data.")
@click.option(
    "--today", type=click.DateTime(["%Y-%m-%d"]), help="The date it believes in.  [default: the real one]"
)
@click.option(
    "--deny", default=0, show_default=True, type=click.IntRange(min=0), help="Organizations to refuse."
)
@click.option(
    "--fault",
    "fault_names",
    multiple=True,
    metavar="NAME[:TIMES]",
    help="Fail the next queries so, once or TIMES times; repeatable. A wrong name lists them all.",
)
def sandbox(  # noqa: PLR0913, PLR0917 # one parameter an option
    host: str,
    port: int,
    organizations: int,
    seed: int,
    today: datetime | None,
    deny: int,
    fault_names: tuple[str, ...],
) -> int:
    """Serve a stand-in for Pipefy's API with made-up organizations, until Ctrl-C.

    \b
    Example:  pipefy-usage sandbox --organizations 3 --deny 1
              pipefy-usage sandbox --fault 503:2 --fault html
    """
    _require_sandbox()
    from jobs.demo import sandbox_greeting
    from jobs.sandbox import Sandbox, faults

    known = faults.named_faults()
    planned = [_parse_fault(each, list(known)) for each in fault_names]
    serving = Sandbox(
        host=host,
        port=port,
        organizations=organizations,
        seed=seed,
        today=None if today is None else today.date(),
        denied=deny,
    )
    for name, times in planned:
        serving.inject(known[name], times=times)
    try:
        serving.start()
    except OSError as exc:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {exc.strerror}; choose another --port"
        ) from exc
    try:
        click.echo(sandbox_greeting(serving))
        serving.wait()
    finally:
        serving.stop()
    return 0


@cli.command()
@click.option(
    "--folder",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the results go.",
)
def demo(folder: Path) -> int:
    """Run the export twice, for yesterday and today, against a stand-in API; needs no account and no server.

    \b
    Example:  pipefy-usage demo --folder /tmp/demo
    """
    _require_sandbox()
    from jobs.demo import run_demo
    from jobs.display.console import build_console
    from jobs.display.demo import show_demo_end, show_demo_run
    from jobs.display.progress import show_progress
    from jobs.logs import configure_logs

    configure_logs("human")
    console = build_console()
    exit_status = 0
    wiring = None
    for wiring, report in run_demo(folder, _now(), show_progress):
        show_demo_run(console, wiring, report)
        exit_status = max(exit_status, report.exit_status)
    if wiring is not None:
        show_demo_end(console, wiring)
    return exit_status


def _parse_fault(text: str, known: list[str]) -> tuple[str, int]:
    name, _, times = text.partition(":")
    if name not in known or not (times or "1").isdecimal():
        raise click.BadParameter(
            f"{text!r} is none; write NAME or NAME:TIMES with one of {', '.join(known)}", param_hint="--fault"
        )
    return name, int(times or 1)


def _require_sandbox() -> None:
    missing = [name for name in ("graphql", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"the stand-in API needs {', '.join(missing)}; run: pip install 'pipefy-usage-export[sandbox]'"
        )

"""``pipefy-usage``, ``python -m jobs``: runs a command; an error becomes a message and an exit status."""

import io
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

from jobs import exits
from jobs.cli import cli
from jobs.errors import UsageExportError
from storage.errors import RunInProgressError, SnapshotError, StorageError


def main() -> None:
    """Runs the command line of this process."""
    # A polite end is one, whoever asks for it: the batch in hand is committed and the run recorded.
    signal.signal(signal.SIGTERM, _interrupt)
    # A terminal or pipe that lacks a letter of a name must not make a run that went well end badly.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit status; what went wrong is said on standard error."""
    try:
        status: int | None = cli.main(list(arguments), prog_name="pipefy-usage", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exits.NOTHING_DONE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return exits.INTERRUPTED
    except (UsageExportError, StorageError) as exc:
        for line in str(exc).splitlines():
            click.secho(f"error: {line}", err=True, fg="red")
        return _status_of(exc)
    return status or exits.SUCCEEDED


def _status_of(error: UsageExportError | StorageError) -> int:
    match error:
        case RunInProgressError():
            return exits.LOCKED
        case SnapshotError():
            return exits.SOME_FAILED  # the rows are in the database
        case _:
            return exits.NOTHING_DONE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()

"""A terminal of 80 columns with a person before it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = 80
_SECONDS = 30
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Shown:
    """What a command showed on the terminal, and how it ended."""

    exit_status: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """The lines that were written, without colours and movements of the cursor."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", _CONTROL_SEQUENCE.sub("", self.raw))]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


def run_in_terminal(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    answers: Sequence[tuple[str, str]] = (),
) -> Shown:
    """Runs ``pipefy-usage`` on a terminal of its own.

    Args:
        arguments: The command and its options.
        environ: What the environment has besides the usual.
        folder: The working directory.
        answers: What is typed, each once the text before it has been shown.
    """
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), **environ}
    with subprocess.Popen(
        [sys.executable, "-m", "jobs", *arguments],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=environ,
        cwd=folder,
        start_new_session=True,
    ) as process:
        os.close(its_end)
        shown = _converse(terminal, list(answers))
        os.close(terminal)
    return Shown(process.returncode, shown)


def _converse(terminal: int, answers: list[tuple[str, str]]) -> str:
    shown = b""
    seen = 0
    until = time.monotonic() + _SECONDS
    while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
        try:
            read = os.read(terminal, 65_536)
        except OSError:  # nobody holds the other end any more
            break
        if not read:
            break
        shown += read
        if answers and answers[0][0].encode() in shown[seen:]:
            seen = len(shown)
            os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
    assert not answers, f"never asked: {answers[0][0]}\n{shown.decode()}"
    return shown.decode()

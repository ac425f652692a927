"""One run of the export in a process of its own, which kills itself at a chosen step.

    python -m tests.one_run CONFIG [KILL_AT]

A step is a call of any function of ``storage`` or ``migrations``. Without KILL_AT the run is unbroken and its
number of steps is printed.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import migrations
import storage
from jobs.export import RunRequest, run_export
from jobs.wiring import build_wiring, load_all_credentials
from tests.exporting import NOW, Silent

_WATCHED = tuple(str(Path(package.__file__ or "").parent) for package in (storage, migrations))


def main() -> None:
    config, *rest = sys.argv[1:]
    kill_at = int(rest[0]) if rest else None
    steps = 0
    turn = threading.Lock()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        if event == "call" and frame.f_code.co_filename.startswith(_WATCHED):
            with turn:
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

    wiring = build_wiring(Path(config), os.environ, Path(config).parent)
    request = RunRequest(wiring.settings, load_all_credentials(wiring.settings, os.environ), NOW)
    threading.setprofile(count)
    sys.setprofile(count)
    run_export(request, wiring.engine, Silent())
    sys.setprofile(None)
    print(steps)  # noqa: T201 # its caller reads it


if __name__ == "__main__":
    main()

"""What the service writes on standard error, seen through a pipe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_FAILING = """
import logging, sys
import structlog
from jobs.logs import configure_logs

configure_logs(sys.argv[1])
log = structlog.get_logger()
log.debug("not.news")
log.info("export.run_finished", name="Café", rows=3)
log.info("two.lines", text="one\\ntwo")


def fail():
    token = "hunter" + "2"
    raise ValueError(len(token))


try:
    fail()
except ValueError:
    log.exception("export.run_crashed")
logging.getLogger("apscheduler.scheduler").warning("missed by %s", "5 s")
logging.getLogger("apscheduler.scheduler").debug("no news")
try:
    fail()
except ValueError:
    logging.getLogger("apscheduler.executors.default").exception("job crashed")
"""


def _written(log_format: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _FAILING, log_format],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_in_a_pipe_each_line_is_an_event_in_json(log_format: str) -> None:
    events = [json.loads(line) for line in _written(log_format)]

    finished, two_lines, crashed, missed, job_crashed = events
    assert finished.pop("timestamp").endswith("Z")
    assert finished == {"event": "export.run_finished", "level": "info", "name": "Café", "rows": 3}
    assert two_lines["text"] == "one\ntwo"
    assert crashed["level"] == "error"
    assert crashed["exception"].endswith("ValueError: 7")
    assert (missed["event"], missed["level"], missed["logger"]) == (
        "missed by 5 s",
        "warning",
        "apscheduler.scheduler",
    )
    assert job_crashed["exception"].endswith("ValueError: 7")


def test_lines_for_humans_have_no_escapes_in_a_pipe_and_show_no_local_variable() -> None:
    lines = _written("human")

    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "hunter2" not in text
    assert text.count("ValueError: 7") == 2
    assert "export.run_finished" in lines[0]
    assert "name=Café" in lines[0]
    (missed,) = [line for line in lines if "missed by 5 s" in line]
    assert "apscheduler.scheduler" in missed
    assert "no news" not in text
    assert "not.news" not in text

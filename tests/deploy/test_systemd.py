import re
import shlex
import sys
from pathlib import Path

import pytest

from jobs import exits
from jobs.cli import cli
from jobs.settings import ExportSettings
from tests.deploy.files import CONFIG, DEPLOY, GRACE_SECONDS, PORT, STATE, judge, read_unit, require_command
from tests.deploy.files import system_tool as _system_tool

FOLDER = DEPLOY / "systemd"
SERVICES = ("pipefy-usage.service", "pipefy-usage-run.service")
UNITS = (*SERVICES, "pipefy-usage-run.timer")
SAFE = 20  # an exposure of 2.0, where 10.0 is no protection at all
_SECONDS = {"s": 1, "min": 60, "h": 3600}
# What only one of the two services has reason to set.
_OF_ITS_OWN = re.compile(
    r"Description|Type|NotifyAccess|Exec\w+|Timeout\w+|Watchdog\w+|Restart\w*|StartLimit\w+|SuccessExitStatus"
    r"|WantedBy|SocketBindAllow"
)


@pytest.fixture(scope="session")
def systemd_analyze() -> str:
    return _system_tool("systemd-analyze", "systemd")


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, with the program where it is on this machine."""
    installed = Path(sys.executable).with_name("pipefy-usage")
    for name in UNITS:
        text = (FOLDER / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/pipefy-usage/bin/pipefy-usage", str(installed)))
    return [tmp_path / name for name in UNITS]


def _seconds(span: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", span).groups()  # type: ignore[union-attr] # else the test fails
    return int(number) * _SECONDS[unit]


def test_systemd_accepts_the_units(systemd_analyze: str, units: list[Path]) -> None:
    assert judge(systemd_analyze, "verify", "--man=no", "--recursive-errors=no", *units) == ""


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_are_little_exposed(systemd_analyze: str, units: list[Path], name: str) -> None:
    unit = units[UNITS.index(name)]
    judge(systemd_analyze, "security", "--offline=true", f"--threshold={SAFE}", "--no-pager", unit)


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_start_commands_that_exist(name: str) -> None:
    (started,) = read_unit(FOLDER / name)["ExecStart"]
    program, *words = shlex.split(started)
    assert program == "/opt/pipefy-usage/bin/pipefy-usage"
    assert words[1:] == ["--config", CONFIG]
    if words[0] == "serve" and "serve" not in cli.commands:
        pytest.skip("the command serve does not exist yet")
    require_command(words)


def test_both_services_are_confined_alike() -> None:
    service, run = (
        {name: values for name, values in read_unit(FOLDER / each).items() if not _OF_ITS_OWN.fullmatch(name)}
        for each in SERVICES
    )
    assert service == run


@pytest.mark.parametrize("name", SERVICES)
def test_the_batch_in_hand_may_end_before_systemd_kills(name: str) -> None:
    (stop,) = read_unit(FOLDER / name)["TimeoutStopSec"]
    assert _seconds(stop) > GRACE_SECONDS


def test_a_run_may_take_as_long_as_its_deadline_allows() -> None:
    (start,) = read_unit(FOLDER / "pipefy-usage-run.service")["TimeoutStartSec"]
    assert _seconds(start) > ExportSettings().deadline_seconds


def test_a_run_counts_as_failed_and_is_tried_again_by_its_exit_status() -> None:
    unit = read_unit(FOLDER / "pipefy-usage-run.service")
    assert unit["SuccessExitStatus"] == [f"{exits.LOCKED} {exits.INTERRUPTED}"]
    assert unit["RestartPreventExitStatus"] == [f"{exits.SOME_FAILED}"]
    assert unit["Restart"] == ["on-failure"]


def test_the_tries_of_a_run_fit_into_the_time_in_which_systemd_counts_them() -> None:
    unit = read_unit(FOLDER / "pipefy-usage-run.service")
    pauses = int(unit["StartLimitBurst"][0]) * _seconds(unit["RestartSec"][0])
    assert pauses < _seconds(unit["StartLimitIntervalSec"][0])


def test_the_service_may_listen_on_its_health_port_only() -> None:
    unit = read_unit(FOLDER / "pipefy-usage.service")
    assert unit["SocketBindDeny"] == ["any"]
    assert unit["SocketBindAllow"] == [f"tcp:{PORT}"]


@pytest.mark.parametrize("name", SERVICES)
def test_state_is_kept_where_the_other_ways_keep_it(name: str) -> None:
    unit = read_unit(FOLDER / name)
    assert [f"/var/lib/{each}" for each in unit["StateDirectory"]] == [STATE]
    assert [f"/etc/{each}/config.toml" for each in unit["ConfigurationDirectory"]] == [CONFIG]
    assert (FOLDER / "pipefy-usage.sysusers.conf").read_text().split()[-1] == STATE


def test_the_timer_makes_up_for_what_was_missed_while_the_machine_was_off() -> None:
    assert read_unit(FOLDER / "pipefy-usage-run.timer")["Persistent"] == ["yes"]

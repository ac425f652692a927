"""The files under ``deploy/``, and the tools of others that judge them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from jobs.cli import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
# How long the service takes at most to end the batch in hand.
GRACE_SECONDS = 30
PORT = 9465
CONFIG = "/etc/pipefy-usage/config.toml"
STATE = "/var/lib/pipefy-usage"


def load_documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def load_document(path: Path) -> Any:  # noqa: ANN401 # YAML can hold anything
    (document,) = load_documents(path)
    return document


def development_tool(name: str) -> str:
    """A program that the development dependencies bring, so CI has it."""
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        complaint = f"{name} is not installed beside {sys.executable}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(complaint)
    return str(found)


def system_tool(name: str, package: str) -> str:
    """A program that only a system's packages bring."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH; Debian has it in the package {package}")
    return found


def judge(*command: str | Path) -> str:
    """What a tool says; fails with it if the tool is not content."""
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def read_unit(path: Path) -> dict[str, list[str]]:
    """A systemd unit's settings; each can stand several times."""
    settings: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def dockerfile_values(instruction: str) -> list[str]:
    """What stands behind an instruction, for each time that it stands there."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{instruction}\s+(.*)$", text, re.MULTILINE)


def pod_specs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pods of the Deployment and of the CronJob."""
    deployment = load_document(DEPLOY / "kubernetes" / "deployment.yaml")
    yield "deployment", deployment["spec"]["template"]["spec"]
    cronjob = load_document(DEPLOY / "kubernetes" / "cronjob.yaml")
    yield "cronjob", cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def require_command(words: Sequence[str]) -> None:
    """Fails unless ``pipefy-usage`` has this command, and the command these options."""
    name, *arguments = words
    assert name in cli.commands, f"pipefy-usage has no command {name}"
    # Parsing refuses unknown options; nothing is carried out.
    cli.commands[name].make_context(name, list(arguments), parent=click.Context(cli))

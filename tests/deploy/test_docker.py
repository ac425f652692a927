import json
import tomllib
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from jobs.cli import cli
from tests.deploy.files import (
    CONFIG,
    DOCKERFILE,
    PORT,
    ROOT,
    STATE,
    development_tool,
    dockerfile_values,
    judge,
    require_command,
)


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_hadolint_accepts_the_dockerfile() -> None:
    judge(development_tool("hadolint"), "--no-color", DOCKERFILE)


def test_both_stages_have_one_python_which_the_project_allows(pyproject: dict[str, Any]) -> None:
    images = {value.split()[0] for value in dockerfile_values("FROM")}
    (image,) = images
    version = image.removeprefix("python:").removesuffix("-slim")
    assert version in SpecifierSet(pyproject["project"]["requires-python"])
    assert f"Programming Language :: Python :: {version}" in pyproject["project"]["classifiers"]


def test_everything_from_outside_is_checked_by_its_hash() -> None:
    installs = [run for run in dockerfile_values("RUN") if "-m pip" in run]
    assert [("--require-hashes" in run) or ("--no-index" in run) for run in installs] == [True, True]


def test_the_wheel_is_built_from_what_the_project_says(pyproject: dict[str, Any]) -> None:
    copied = {
        word.removeprefix("./")
        for value in dockerfile_values("COPY")
        if not value.startswith("--from")
        for word in value.split()[:-1]
    }
    project = pyproject["project"]
    needed = {
        *pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        *project["license-files"],
        project["readme"],
        "pyproject.toml",
        "requirements.txt",
    }
    assert copied == needed
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == needed


def test_the_extras_of_the_image_exist(pyproject: dict[str, Any]) -> None:
    (argument,) = dockerfile_values("ARG")
    extras = argument.removeprefix("EXTRAS=").split(",")
    assert set(extras) <= set(pyproject["project"]["optional-dependencies"])


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    (user,) = dockerfile_values("USER")
    assert user == "10001:10001"
    assert any(f"--owner=10001 --group=10001 --mode=0750 {STATE}" in run for run in dockerfile_values("RUN"))
    assert json.loads(dockerfile_values("VOLUME")[0]) == [STATE]


def test_the_image_starts_a_command_that_exists() -> None:
    (program,) = json.loads(dockerfile_values("ENTRYPOINT")[0])
    words = json.loads(dockerfile_values("CMD")[0])
    assert program == "pipefy-usage"
    assert words == ["serve", "--config", CONFIG]
    if "serve" not in cli.commands:
        pytest.skip("the command serve does not exist yet")
    require_command(words)


def test_the_health_check_is_a_program_and_asks_the_port_of_the_image() -> None:
    (check,) = dockerfile_values("HEALTHCHECK")
    program, option, code = json.loads(check.partition("CMD ")[2])
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert f"'{PORT}'" in code
    assert dockerfile_values("EXPOSE") == [str(PORT)]

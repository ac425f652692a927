import re

import pytest

from jobs.cli import cli
from tests.deploy.files import PORT, ROOT

PAGE = ROOT / "docs" / "deployment.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_link_leads_somewhere(page: str) -> None:
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line[:1] == "#"}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        if target.startswith("#"):
            assert target[1:] in headings
        else:
            assert (PAGE.parent / target).exists(), target


def test_every_file_that_is_installed_is_there(page: str) -> None:
    for pattern in re.findall(r"(?<![/(])\bdeploy/[\w./*-]+", page):
        assert list(ROOT.glob(pattern)), pattern


def test_every_command_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"(?:`|bin/|exec pipefy-usage )pipefy-usage ([a-z]+)", page))
    assert named >= {"run", "status", "check", "init", "migrate"}
    assert named <= {*cli.commands, "serve"}


def test_the_port_is_the_one_of_the_service(page: str) -> None:
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", page)) == {str(PORT)}

import pytest

from jobs.sandbox import Sandbox
from tests.jobs.pipefy.asking import Asking


@pytest.fixture
def asking(sandbox: Sandbox) -> Asking:
    """The stand-in, asked with its default account."""
    return Asking(sandbox)

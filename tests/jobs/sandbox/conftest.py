from collections.abc import Iterator
from datetime import date

import pytest

from jobs.sandbox import Sandbox
from tests.jobs.sandbox.asking import Asker


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(today=date(2026, 6, 16), organizations=5) as sandbox:
        yield sandbox


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Asker]:
    asker = Asker(sandbox)
    with asker.http:
        yield asker

import httpx
import pytest

from jobs.sandbox import Sandbox
from jobs.sandbox.faults import named_faults


@pytest.mark.parametrize(("name", "status"), [("503", 503), ("429", 429), ("html", 200), ("redirect", 302)])
def test_a_named_fault_is_what_its_name_says(sandbox: Sandbox, name: str, status: int) -> None:
    sandbox.inject(named_faults()[name])

    assert httpx.post(sandbox.graphql_url).status_code == status


def test_every_error_shape_has_a_name() -> None:
    assert {"shape-1", "shape-2-null", "shape-5", "shape-9-429"} <= set(named_faults())

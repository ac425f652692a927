import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import DEPLOY, judge, system_tool

FILE = DEPLOY / "grafana" / "dashboard.json"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return loaded


def test_prometheus_accepts_every_query(dashboard: dict[str, Any], tmp_path: Path) -> None:
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel_{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    judge(system_tool("promtool", "prometheus"), "check", "rules", tmp_path / "rules.yml")


def test_whoever_imports_it_chooses_the_data_source(dashboard: dict[str, Any]) -> None:
    variables = dashboard["templating"]["list"]
    assert variables[0]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == chosen for panel in dashboard["panels"])
    assert all(variable["datasource"] == chosen for variable in variables[1:])


def test_every_variable_in_a_query_is_declared(dashboard: dict[str, Any]) -> None:
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {word.split('"')[0] for query in queries for word in query.split("$")[1:]}
    assert used <= declared


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) <= 24


def test_a_limit_of_zero_is_never_divided_by(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            if "/" in target["expr"]:
                assert target["expr"].endswith("> 0)")

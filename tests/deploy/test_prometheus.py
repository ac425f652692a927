from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, PORT, judge, load_document, system_tool

FOLDER = DEPLOY / "prometheus"


@pytest.fixture(scope="session")
def promtool() -> str:
    return system_tool("promtool", "prometheus")


def _alerts() -> list[dict[str, Any]]:
    groups = load_document(FOLDER / "alerts.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_prometheus_accepts_the_alerts(promtool: str) -> None:
    judge(promtool, "check", "rules", FOLDER / "alerts.yml")


def test_the_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    judge(promtool, "test", "rules", FOLDER / "alerts.test.yml")


def test_every_alert_is_tried() -> None:
    tried = (FOLDER / "alerts.test.yml").read_text(encoding="utf-8")
    assert [alert["alert"] for alert in _alerts() if alert["alert"] not in tried] == []


@pytest.mark.parametrize("alert", _alerts(), ids=lambda alert: str(alert["alert"]))
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description"}


def test_prometheus_accepts_the_scrape_example(promtool: str) -> None:
    judge(promtool, "check", "config", FOLDER / "scrape.example.yml")


def test_the_scrape_example_asks_the_port_of_the_service_under_the_name_that_the_alerts_know() -> None:
    (scrape,) = load_document(FOLDER / "scrape.example.yml")["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"127.0.0.1:{PORT}"]}]
    assert f'up{{job="{scrape["job_name"]}"}}' in Path(FOLDER / "alerts.yml").read_text(encoding="utf-8")

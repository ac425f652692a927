import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from prometheus_client import Metric

from jobs.metrics import Metrics
from storage.attention import CurrentUsage
from tests.deploy.files import DEPLOY

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)
FILES = ("prometheus/alerts.yml", "prometheus/alerts.test.yml", "grafana/dashboard.json")
# What Prometheus and the scrape add to each series.
FROM_PROMETHEUS = {"job", "instance"}


def _shown() -> Iterator[Metric]:
    metrics = Metrics(lambda: NOW)
    metrics.show_organizations([CurrentUsage("u1", "One", date(2026, 6, 15), date(2026, 6, 1), 80, 100)])
    return iter(metrics.registry.collect())


@pytest.fixture(scope="module")
def samples() -> dict[str, list[dict[str, str]]]:
    """The labels of each series that the service shows, by its name."""
    found: dict[str, list[dict[str, str]]] = {}
    for metric in _shown():
        for sample in metric.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def _expressions(file: str) -> str:
    # In JSON, the quotes within an expression are escaped.
    return (DEPLOY / file).read_text(encoding="utf-8").replace('\\"', '"')


@pytest.mark.parametrize("file", FILES)
def test_every_metric_that_is_asked_for_is_shown_by_the_service(
    file: str, samples: dict[str, list[dict[str, str]]]
) -> None:
    asked = set(re.findall(r"\bpipefy_usage_\w+", _expressions(file)))
    assert asked
    assert asked <= set(samples)


@pytest.mark.parametrize("file", FILES)
def test_every_label_that_is_asked_for_has_that_value(
    file: str, samples: dict[str, list[dict[str, str]]]
) -> None:
    asked = [
        (name, label, value)
        for name, matchers in re.findall(r"\b(pipefy_usage_\w+)\{([^}]*)\}", _expressions(file))
        for label, _, value in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers)
        if label not in FROM_PROMETHEUS
    ]
    assert asked
    free = {"organization", "name", "reason"}
    for name, label, value in asked:
        values = {labels.get(label) for labels in samples[name]}
        assert value in values or (label in free and values != {None}), (name, label, value)

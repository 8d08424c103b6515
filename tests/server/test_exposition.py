"""The forms of the metrics, as their reference parsers read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from tests.server.conftest import from_openmetrics
from worker.dead_letters import REASONS
from worker.flow.job import ModelName
from worker.observe.metrics import Metrics
from worker.records import Partition
from worker.server.exposition import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

TEXT, _, OPENMETRICS = FORMS


def full() -> Metrics:
    """Metrics of a worker that has worked, with labels that need to be escaped."""
    metrics = Metrics(REASONS)
    metrics.model.name_build("0.1.0", ModelName('a "model"\\n\n', "main"), "cpu", "float32")
    metrics.partitions.begin([Partition("requests", number) for number in (0, 1)])
    for value in (-20.0, -0.5, 0.0, 3.0, 1e9):
        metrics.events.slack.observe(value)
        metrics.model.logits.labels("first").observe(value)
        metrics.events.latency.observe(abs(value))
    return metrics


def names(families: Iterable[Metric]) -> set[str]:
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("metrics", [Metrics(REASONS), full()], ids=["new", "full"])
def test_the_reference_parser_of_openmetrics_takes_all_of_it(metrics: Metrics) -> None:
    found = from_openmetrics(OPENMETRICS.write(metrics.registry))
    assert {family.name for family in found} >= {"rerank_slack_at_dispatch_seconds", "rerank_logits", "rerank_events"}


def test_a_histogram_with_negative_edges_has_buckets_alone_in_openmetrics_and_its_count_as_text() -> None:
    registry = full().registry
    strict = names(from_openmetrics(OPENMETRICS.write(registry)))
    plain = names(text_string_to_metric_families(TEXT.write(registry).decode()))
    assert plain - strict == {"rerank_slack_at_dispatch_seconds_count", "rerank_logits_count"}
    assert {"rerank_event_latency_seconds_sum", "rerank_event_latency_seconds_count", "rerank_logits_bucket"} <= strict


def test_any_such_histogram_is_written_so_and_not_changed_by_it() -> None:
    registry = CollectorRegistry()
    Histogram("moved", "…", ["way"], buckets=(-1, 1), registry=registry).labels("up").observe(-7)
    for _ in range(2):
        (family,) = from_openmetrics(OPENMETRICS.write(registry))
        assert [(sample.name, sample.labels["le"], sample.value) for sample in family.samples] == [
            ("moved_bucket", "-1.0", 1.0),
            ("moved_bucket", "1.0", 1.0),
            ("moved_bucket", "+Inf", 1.0),
        ]
        assert b"moved_count" in TEXT.write(registry)

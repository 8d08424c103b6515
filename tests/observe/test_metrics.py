"""The exported metrics."""

import pytest

from worker.flow.job import ModelName
from worker.observe.metrics import Metrics
from worker.records import Partition


@pytest.mark.parametrize("name", ["rerank_consumer_lag_records", "rerank_consumer_lag_seconds"])
def test_a_partitions_series_begins_at_nothing_and_ends_when_it_is_given_up(name: str) -> None:
    metrics = Metrics([])
    partition = Partition("requests", 3)
    labels = {"topic": "requests", "partition": "3"}
    metrics.partitions.begin([partition])
    assert metrics.registry.get_sample_value(name, labels) == 0
    metrics.partitions.end([partition])
    assert metrics.registry.get_sample_value(name, labels) is None


def test_build_info_names_the_model() -> None:
    metrics = Metrics([])
    metrics.model.name_build("1.2.3", ModelName("a/model", "abc"), "cpu", "float32")
    (family,) = [family for family in metrics.registry.collect() if family.name == "rerank_build"]
    assert family.samples[0].labels["model"] == "a/model"
    assert family.samples[0].labels["version"] == "1.2.3"


def test_a_caches_look_ups_follow_its_totals() -> None:
    metrics = Metrics([])
    for hits, misses in ((3, 1), (3, 1), (10, 2)):
        metrics.batches.count_cache("tokens", hits=hits, misses=misses)
    found = {
        result: metrics.registry.get_sample_value("rerank_cache_requests_total", {"cache": "tokens", "result": result})
        for result in ("hit", "miss")
    }
    assert found == {"hit": 10, "miss": 2}

"""Metrics that are there before anything was counted."""

from __future__ import annotations

from worker.observe.registry import Registry


def test_a_metric_has_a_series_for_each_combination_of_the_values_of_its_labels() -> None:
    registry = Registry()
    registry.counter("looks", "Looks.", cache=("tokens", "scores"), result=("hit", "miss"))
    (family,) = [each for each in registry.collect() if each.name == "rerank_looks"]
    assert [tuple(sample.labels.values()) for sample in family.samples] == [
        ("tokens", "hit"),
        ("tokens", "miss"),
        ("scores", "hit"),
        ("scores", "miss"),
    ]


def test_one_with_a_label_whose_values_are_not_known_yet_has_none() -> None:
    registry = Registry()
    lag = registry.gauge("lag_records", "Records.", topic=(), partition=())
    (family,) = [each for each in registry.collect() if each.name == "rerank_lag_records"]
    assert family.samples == []
    lag.labels("requests", 3)
    assert registry.get_sample_value("rerank_lag_records", {"topic": "requests", "partition": "3"}) == 0


def test_one_without_labels_is_0_and_the_process_is_there_too() -> None:
    registry = Registry()
    registry.times("wait_seconds", "Waits.")
    assert registry.get_sample_value("rerank_wait_seconds_count") == 0
    assert registry.get_sample_value("rerank_wait_seconds_bucket", {"le": "0.001"}) == 0
    assert registry.get_sample_value("process_start_time_seconds")

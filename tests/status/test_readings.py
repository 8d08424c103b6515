"""Readings of a worker's metrics, the time between two of them, and quantiles of a histogram."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from worker.observe.metrics import Metrics
from worker.status import Reading, Window, quantile
from worker.status.readings import share


def test_a_scrape_reads_as_the_registry_that_it_came_from() -> None:
    metrics = Metrics(["tombstone"])
    metrics.events.published.labels("reranked", "complete").inc(7)
    metrics.events.latency.observe(0.08)
    scraped = Reading(text_string_to_metric_families(generate_latest(metrics.registry).decode()), 1.0)
    own = Reading(metrics.registry.collect(), 1.0)
    assert own.total("rerank_events_total", outcome="reranked") == 7
    for name in ("rerank_events_total", "rerank_dead_letters_total", "rerank_stage_duration_seconds_bucket"):
        assert scraped.series(name) == own.series(name)
    assert scraped.buckets() == own.buckets()


def test_what_a_worker_does_not_have_counts_as_nothing() -> None:
    reading = Reading([], 0.0)
    assert (reading.total("none"), reading.highest("none"), reading.labels("none")) == (0, 0, {})
    assert quantile(reading.buckets(), 0.99) is None


def test_a_window_says_what_happened_in_it_alone() -> None:
    metrics = Metrics([])
    metrics.events.pairs.inc(1000)
    metrics.events.latency.observe(9)
    first = Reading(metrics.registry.collect(), 100.0)
    metrics.events.pairs.inc(50)
    for _ in range(4):
        metrics.events.latency.observe(0.015)
    window = Window(first, Reading(metrics.registry.collect(), 110.0))
    assert window.is_of_one_process
    assert window.rate("rerank_pairs_total") == 5
    assert quantile(window.buckets(), 1.0) == 0.025


def test_a_window_needs_two_times() -> None:
    with pytest.raises(ValueError, match="expected a later reading than that at 3 s, got one at 3 s"):
        Window(Reading([], 3.0), Reading([], 3.0))


@pytest.mark.parametrize(("q", "expected"), [(0.0, 0.0), (0.25, 0.05), (0.5, 0.1), (0.7, 0.15), (0.9, 0.2), (1.0, 0.2)])
def test_a_quantile_is_interpolated_and_above_the_last_edge_it_is_that_edge(q: float, expected: float) -> None:
    # Of 100 events 50 took up to 100 ms, 40 up to 200 ms, 10 longer.
    buckets = Counter({0.1: 50.0, 0.2: 90.0, math.inf: 100.0})
    assert quantile(buckets, q) == pytest.approx(expected)


def test_a_share_of_nothing_is_not_known() -> None:
    assert share(0, 0) is None
    assert share(3, 1) == 0.75

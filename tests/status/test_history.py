"""The last minutes of a worker, as the status page draws them."""

from __future__ import annotations

import sys

import pytest

from worker.observe.metrics import Metrics
from worker.records import Partition
from worker.status.history import SPAN_S, STEP_S, History


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["tombstone"])


def test_a_point_is_what_happened_in_the_seconds_before_it(metrics: Metrics) -> None:
    history = History(metrics.registry)
    metrics.partitions.begin([Partition("requests", 0)])
    history.sample(100.0)
    assert history.points() == ()
    metrics.events.published.labels("reranked", "complete").inc(20)
    metrics.events.pairs.inc(400)
    metrics.events.candidates_received.inc(500)
    metrics.events.candidates_scored.inc(400)
    metrics.batches.device_busy.inc(1)
    metrics.events.deadlines.labels("true").inc(15)
    metrics.events.deadlines.labels("false").inc(5)
    metrics.events.latency.observe(0.015)
    metrics.partitions.lag_records.labels("requests", 0).set(12)
    history.sample(102.0)
    (point,) = history.points()
    assert (point.at_s, point.events, point.pairs, point.busy) == (102.0, 10, 200, 0.5)
    assert (point.in_budget, point.scored, point.lag_records, point.dead_letters) == (0.75, 0.8, 12, 0)
    assert point.p50_s is not None
    assert 0.01 < point.p50_s < 0.025


def test_a_point_without_events_has_no_latency_and_no_shares(metrics: Metrics) -> None:
    history = History(metrics.registry)
    history.sample(100.0)
    history.sample(102.0)
    (point,) = history.points()
    assert (point.p50_s, point.p99_s, point.in_budget, point.scored) == (None, None, None, None)


def test_it_looks_every_two_seconds_however_often_it_is_asked(metrics: Metrics) -> None:
    history = History(metrics.registry)
    for tenth in range(101):
        history.sample(100 + tenth / 10)
    assert [point.at_s for point in history.points()] == [102.0, 104.0, 106.0, 108.0, 110.0]


def test_after_ten_seconds_a_point_forgets_what_was_before(metrics: Metrics) -> None:
    history = History(metrics.registry)
    history.sample(100.0)
    metrics.events.pairs.inc(100)
    for second in range(102, 122, 2):
        history.sample(float(second))
    assert [round(point.pairs) for point in history.points()] == [50, 25, 17, 12, 10, 0, 0, 0, 0, 0]


def test_it_holds_five_minutes_and_no_more(metrics: Metrics) -> None:
    history = History(metrics.registry)
    for step in range(1000):
        history.sample(step * STEP_S)
    points = history.points()
    assert points[-1].at_s - points[0].at_s == SPAN_S
    assert sum(sys.getsizeof(point) for point in points) < 50_000

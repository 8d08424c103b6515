"""What the main loop shows of itself."""

from __future__ import annotations

import time

import pytest

from tests.support.looping import bench
from tests.support.making import PARTITION, pairs, record
from worker.offsets.lag import Watermark
from worker.records import Partition


def test_the_backlog_is_the_device_time_that_what_is_not_done_would_take() -> None:
    line = bench()
    line.loop._gauges.EVERY_S = 0
    (first,) = line.take(record(0))
    first.scoring.pairs, first.scoring.limit, first.timeline.device_s = pairs(3, 3), 2, 0.25
    line.end(first)
    line.consumer.places_known = {PARTITION: Watermark(position=1, end=5, at_s=time.monotonic())}
    line.turn()
    assert line.metric("backlog_seconds") == 4 * 0.25


def test_the_gauges_show_the_door_and_the_lag_of_partitions_that_are_owned() -> None:
    line = bench(limit=16)
    line.loop._gauges.EVERY_S = 0
    now_ms = int(time.time() * 1000)
    (first, _) = line.take(record(0, timestamp_ms=now_ms - 60_000), record(1, timestamp_ms=now_ms))
    place = Watermark(position=2, end=5, at_s=time.monotonic())
    line.consumer.places_known = {PARTITION: place, Partition("requests", 9): place}
    line.turn()
    assert line.metric("in_flight_tokens") == 32
    assert line.metric("in_flight_bytes") == 4
    assert line.metric("partitions_paused") == 1
    owned, stranger = {"topic": "requests", "partition": "0"}, {"topic": "requests", "partition": "9"}
    assert line.metric("consumer_lag_records", **owned) == 5  # two of them inside
    assert line.metric("consumer_lag_seconds", **owned) == pytest.approx(60, abs=10)
    line.end(first)
    line.turn()
    line.turn()
    assert line.metric("consumer_lag_records", **owned) == 4
    assert line.metric("consumer_lag_seconds", **owned) == pytest.approx(0, abs=10)
    assert line.metric("consumer_lag_records", **stranger) is None
    line.consumer.tell("lost")
    line.turn()
    assert line.metric("consumer_lag_records", **owned) is None
    assert line.metric("consumer_lag_seconds", **owned) is None
    assert line.metric("partitions_assigned") == 0

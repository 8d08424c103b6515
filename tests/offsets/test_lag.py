"""How many records are not done, and how old the first of them is or may be."""

import pytest

from worker.offsets.lag import Lag, LagMeter, Watermark
from worker.offsets.tracker import PartitionProgress
from worker.records import Partition

P = Partition("requests", 0)
NOTHING = PartitionProgress(None, None, None)
NONE = Lag(0, 0.0)


@pytest.fixture
def meter() -> LagMeter:
    meter = LagMeter()
    meter.begin([P], now_s=100.0)
    return meter


@pytest.mark.parametrize(
    "place",
    [Watermark(None, None, 100.0), Watermark(5, None, 100.0), Watermark(None, 7, 100.0), Watermark(5, 5, 100.0)],
)
def test_a_partition_has_no_lag_while_nothing_waits_or_nothing_is_known(meter: LagMeter, place: Watermark) -> None:
    assert meter.measure(P, place, NOTHING, 101.0) == NONE


def test_records_inside_the_worker_count_with_those_at_the_broker_and_the_first_one_has_the_age(
    meter: LagMeter,
) -> None:
    inside = PartitionProgress(offset=3, first_s=40.0, last_s=90.0)
    assert meter.measure(P, Watermark(5, 25, 100.0), inside, 101.0) == Lag(22, 61.0)
    assert meter.measure(P, Watermark(5, 5, 100.0), inside, 101.0) == Lag(2, 61.0)
    assert meter.measure(P, Watermark(5, None, 100.0), inside, 101.0) == Lag(2, 61.0)
    assert meter.measure(P, Watermark(None, None, 100.0), inside, 101.0) == Lag(0, 0.0)


def test_a_record_that_waits_at_the_broker_is_no_older_than_the_one_before_it(meter: LagMeter) -> None:
    assert meter.measure(P, Watermark(5, 25, 100.0), PartitionProgress(None, None, 40.0), 101.0) == Lag(20, 61.0)


def test_nor_was_it_there_when_there_was_nothing_to_receive(meter: LagMeter) -> None:
    """An idle partition has not been late for as long as it was idle."""
    done = PartitionProgress(None, None, 40.0)
    assert meter.measure(P, Watermark(5, 5, 200.0), done, 201.0) == NONE
    assert meter.measure(P, Watermark(5, 6, 202.0), done, 203.0) == Lag(1, 3.0)
    received = PartitionProgress(5, 202.5, 202.5)
    assert meter.measure(P, Watermark(6, 6, 204.0), received, 205.0) == Lag(1, 2.5)


def test_before_anything_is_known_of_it_it_has_waited_since_the_partition_was_assigned(meter: LagMeter) -> None:
    assert meter.measure(P, Watermark(5, 25, 109.0), NOTHING, 110.0) == Lag(20, 10.0)
    meter.measure(P, Watermark(25, 25, 110.0), NOTHING, 110.0)
    meter.end([P])
    meter.begin([P], now_s=120.0)
    assert meter.measure(P, Watermark(5, 25, 121.0), NOTHING, 121.0) == Lag(20, 1.0)


def test_an_end_that_moved_back_makes_no_lag(meter: LagMeter) -> None:
    assert meter.measure(P, Watermark(25, 20, 100.0), NOTHING, 101.0) == NONE


def test_a_time_ahead_of_the_clock_is_no_negative_age(meter: LagMeter) -> None:
    assert meter.measure(P, Watermark(5, 6, 100.0), PartitionProgress(5, 300.0, 300.0), 101.0) == Lag(1, 0.0)

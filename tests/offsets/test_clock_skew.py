"""What timestamps prove of the clocks that they come from."""

from __future__ import annotations

import pytest

from worker.offsets.clock_skew import WINDOW_S, ClockSkew, Skew

NONE = Skew(0.0, 0.0)


@pytest.fixture
def skew() -> ClockSkew:
    return ClockSkew()


def test_a_timestamp_in_the_future_comes_from_a_clock_that_is_ahead(skew: ClockSkew) -> None:
    skew.compare(stamped_s=103.0, received_s=100.0, readable_since_s=99.0)
    assert skew.largest(now_s=100.0) == Skew(ahead_s=3.0, behind_s=0.0)


def test_a_timestamp_older_than_its_record_can_be_comes_from_a_clock_that_is_behind(skew: ClockSkew) -> None:
    skew.compare(stamped_s=95.0, received_s=100.0, readable_since_s=99.0)
    assert skew.largest(now_s=100.0) == Skew(ahead_s=0.0, behind_s=4.0)


@pytest.mark.parametrize("stamped_s", [99.0, 99.5, 100.0])
def test_a_timestamp_between_the_two_proves_nothing(skew: ClockSkew, stamped_s: float) -> None:
    skew.compare(stamped_s, received_s=100.0, readable_since_s=99.0)
    assert skew.largest(now_s=100.0) == NONE


def test_an_old_record_may_have_waited_for_long_where_it_is_not_known_since_when_it_was_readable(
    skew: ClockSkew,
) -> None:
    skew.compare(stamped_s=5.0, received_s=100.0, readable_since_s=None)
    assert skew.largest(now_s=100.0) == NONE


def test_one_wrong_clock_shows_among_many_right_ones_and_the_largest_difference_counts(skew: ClockSkew) -> None:
    for number in range(200):
        skew.compare(stamped_s=100.0 + number, received_s=100.0 + number, readable_since_s=100.0 + number)
        if number % 50 == 20:
            skew.compare(stamped_s=100.0 + number - 2 - number / 100, received_s=100.0 + number, readable_since_s=100.0)
            skew.compare(stamped_s=100.0 + number + 2 - number / 100, received_s=100.0 + number, readable_since_s=None)
    ahead_s, behind_s = skew.largest(now_s=300.0)
    assert ahead_s == pytest.approx(1.8)
    assert behind_s == 0.0


def test_the_larger_of_two_at_about_the_same_time_is_kept_in_either_order(skew: ClockSkew) -> None:
    for ahead_s in (1.0, 3.0, 2.0):
        skew.compare(stamped_s=100.0 + ahead_s, received_s=100.0, readable_since_s=None)
    assert skew.largest(now_s=100.0).ahead_s == 3.0


def test_a_skew_is_forgotten_five_minutes_after_it_was_last_seen(skew: ClockSkew) -> None:
    skew.compare(stamped_s=103.0, received_s=100.0, readable_since_s=None)
    skew.compare(stamped_s=201.0, received_s=200.0, readable_since_s=None)
    assert skew.largest(now_s=100.0 + WINDOW_S - 10).ahead_s == 3.0
    assert skew.largest(now_s=200.0 + WINDOW_S - 10).ahead_s == 1.0
    assert skew.largest(now_s=200.0 + WINDOW_S + 10) == NONE


def test_it_holds_no_more_than_a_value_for_each_ten_seconds(skew: ClockSkew) -> None:
    for number in range(10_000):
        skew.compare(stamped_s=number + 1.0, received_s=float(number), readable_since_s=None)
    assert len(skew._ahead._steps) <= WINDOW_S / 10

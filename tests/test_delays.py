"""What to count with, by the last few delays."""

from __future__ import annotations

from worker.scheduling.latency import LatencyWindow


def test_nothing_is_counted_with_before_the_first() -> None:
    assert LatencyWindow().long_s == 0.0


def test_one_of_a_hundred_takes_longer() -> None:
    delays = LatencyWindow()
    for number in range(200):
        delays.observe(number / 1000)
    assert delays.long_s == 0.198


def test_the_first_ones_count_at_once() -> None:
    delays = LatencyWindow()
    delays.observe(0.5)
    assert delays.long_s == 0.5


def test_what_is_long_ago_is_forgotten() -> None:
    delays = LatencyWindow()
    for seconds in (9.0, *[0.001] * 200):
        delays.observe(seconds)
    assert delays.long_s == 0.001

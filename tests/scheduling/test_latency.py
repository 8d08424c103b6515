"""99th percentile of recent latencies."""

from __future__ import annotations

from worker.scheduling.latency import LatencyWindow


def test_nothing_is_expected_before_the_first() -> None:
    assert LatencyWindow().p99_s(0.0) == 0.0


def test_one_of_a_hundred_takes_longer() -> None:
    window = LatencyWindow()
    for number in range(200):
        window.observe(number / 1000, 1.0)
    assert window.p99_s(1.0) == 0.198


def test_the_first_ones_count_at_once() -> None:
    window = LatencyWindow()
    window.observe(0.5, 1.0)
    assert window.p99_s(1.0) == 0.5


def test_what_many_others_followed_is_forgotten() -> None:
    window = LatencyWindow()
    for seconds in (9.0, *[0.001] * 200):
        window.observe(seconds, 1.0)
    assert window.p99_s(1.0) == 0.001


def test_a_stall_is_forgotten_by_time_however_few_answers_come() -> None:
    window = LatencyWindow()
    for _ in range(50):
        window.observe(3.0, 10.0)
    assert window.p99_s(14.0) == 3.0
    assert window.p99_s(15.1) == 0.0  # none is recent
    window.observe(0.002, 15.2)
    for number in range(9):
        window.observe(0.002, 15.3 + number / 100)
    assert window.p99_s(15.4) == 0.002

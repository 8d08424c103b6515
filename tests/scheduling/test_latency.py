"""97th percentile of recent latencies."""

from __future__ import annotations

from worker.scheduling.latency import LatencyWindow


def test_nothing_is_expected_before_the_first() -> None:
    assert LatencyWindow().p97_s(0.0) == 0.0


def test_three_of_a_hundred_take_longer() -> None:
    window = LatencyWindow()
    for number in range(200):
        window.observe(number / 1000, 1.0)
    assert window.p97_s(1.0) == 0.194


def test_the_first_ones_count_at_once() -> None:
    window = LatencyWindow()
    window.observe(0.5, 1.0)
    assert window.p97_s(1.0) == 0.5


def test_what_many_others_followed_is_forgotten() -> None:
    window = LatencyWindow()
    for seconds in (9.0, *[0.001] * 200):
        window.observe(seconds, 1.0)
    assert window.p97_s(1.0) == 0.001


def test_a_stall_is_forgotten_by_time_however_few_answers_come() -> None:
    window = LatencyWindow()
    for _ in range(50):
        window.observe(3.0, 10.0)
    assert window.p97_s(11.9) == 3.0
    assert window.p97_s(12.1) == 0.0  # none is recent
    window.observe(0.002, 12.2)
    for number in range(9):
        window.observe(0.002, 12.3 + number / 100)
    assert window.p97_s(12.4) == 0.002

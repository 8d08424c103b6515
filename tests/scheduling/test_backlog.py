"""The device time that waits."""

import pytest

from worker.scheduling.backlog import Backlog


def test_nothing_is_expected_before_anything_was_scored() -> None:
    backlog = Backlog()
    backlog.ended(pairs=10, scored=0, device_s=0.0)
    assert backlog.device_s(100) == 0


def test_it_is_what_the_events_that_wait_would_take() -> None:
    backlog = Backlog()
    for _ in range(10):
        backlog.ended(pairs=10, scored=10, device_s=0.02)
    assert backlog.device_s(100) == pytest.approx(2.0)


def test_events_that_were_scored_in_part_count_as_a_whole() -> None:
    backlog = Backlog()
    for scored in (10, 2, 0):
        backlog.ended(pairs=10, scored=scored, device_s=scored * 0.002)
    assert backlog.device_s(100) == pytest.approx(2.0)


def test_it_follows_a_device_that_slows_down() -> None:
    backlog = Backlog()
    for device_s in (0.02, 0.2):
        for _ in range(2500):
            backlog.ended(pairs=10, scored=10, device_s=device_s)
    assert backlog.device_s(1) == pytest.approx(0.2, rel=0.02)

"""The measurement of how long a batch takes to choose chooses batches."""

from __future__ import annotations

from tests.scheduling.speed import measure


def test_each_decision_is_measured_and_ends_lists() -> None:
    speed = measure("partial", 2.0, waiting=200, batches=5)
    assert (speed.decisions_ms > 0).sum() == 4
    assert speed.ended > 0
    assert "ms a decision" in str(speed)

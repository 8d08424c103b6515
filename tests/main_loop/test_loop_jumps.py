"""The main loop where reading goes on elsewhere than it had come to."""

from __future__ import annotations

import pytest

from tests.support.looping import bench
from tests.support.making import PARTITION
from worker.kafka_io import PositionJump


@pytest.mark.parametrize(("to_offset", "direction"), [(20, "ahead"), (0, "back")])
def test_a_position_that_jumps_is_counted_and_a_warning_says_from_where_to_where(
    to_offset: int, direction: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = bench()
    line.consumer.jumped = [PositionJump(PARTITION, 10, to_offset)]
    line.turn()
    line.turn()
    assert line.metric("position_jumps_total", direction=direction) == 1
    (said,) = [each.__dict__ for each in caplog.records if each.__dict__.get("event") == "position_jumped"]
    assert (said["topic"], said["partition"], said["from"], said["to"]) == (*PARTITION, 10, to_offset)
    assert said["levelname"] == "WARNING"

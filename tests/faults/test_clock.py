"""Wall clocks of workers that jump by hours, there and back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.faults.clock import LIBRARY, WallClock
from tests.faults.fault import Fault
from tests.faults.reading import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [
    *(pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)),
    pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime (Debian: apt-get install faketime)"),
]

BACK_S = 60.0
AHEAD, BEHIND = timedelta(hours=3), timedelta(hours=-2)
_CLOCKS = "import time; print(time.time(), time.monotonic())"


def test_the_library_moves_the_wall_clock_and_no_other(tmp_path: Path) -> None:
    clock = WallClock(tmp_path / "clock")
    read = []
    for offset in (timedelta(), AHEAD):
        clock.set(offset)
        environment = {**os.environ, **clock.environment}
        said = subprocess.run([sys.executable, "-c", _CLOCKS], env=environment, check=True, capture_output=True)
        read.append([float(number) for number in said.stdout.split()])
    (before, before_s), (after, after_s) = read
    assert after - before == pytest.approx(AHEAD.total_seconds(), abs=60)
    assert after_s - before_s < 60


def test_a_clock_that_jumps_changes_nothing_but_the_times_that_are_written_down(
    stage: Stage, cluster: Cluster, tmp_path: Path
) -> None:
    clock = WallClock(tmp_path / "clock")
    clock.set(timedelta())

    def jump(trials: list[Trial]) -> None:
        for offset in (AHEAD, BEHIND, timedelta()):
            clock.set(offset)
            for trial in trials:
                trial.until_more(40)
        for trial in trials:
            _assert_jumped(trial)

    stage.run_together(
        cluster, Fault(name="clock jumps", options={"environment": clock.environment}, bound_s=BACK_S), jump
    )


def _assert_jumped(trial: Trial) -> None:
    """Look at how far the times that dead letters name are from those of the broker."""
    with closing(Reader(trial.cluster.bootstrap_servers, trial.line.dead_letters)) as reader:
        letters = list(reader.rest())
    offsets = [
        datetime.fromisoformat(dict(letter.headers)["dlq.first-failure-time"].decode()).timestamp()
        - letter.timestamp / 1000
        for letter in letters
    ]
    assert max(offsets) == pytest.approx(AHEAD.total_seconds(), abs=60), "the clock did not jump ahead"
    assert min(offsets) == pytest.approx(BEHIND.total_seconds(), abs=60), "the clock did not jump back"

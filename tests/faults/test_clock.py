"""Wall clocks of workers that jump by hours, there and back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.faults.clock import LIBRARY, WallClock
from tests.faults.fault import Fault
from tests.faults.reading import Reader
from tests.faults.trial import now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from kafka.consumer.fetcher import ConsumerRecord

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
        with ExitStack() as stack:
            readers = [
                stack.enter_context(closing(Reader(cluster.bootstrap_servers, trial.line.dead_letters)))
                for trial in trials
            ]
            for offset in (AHEAD, BEHIND, timedelta()):
                clock.set(offset)
                since_ms = now_ms()
                for trial, letters in zip(trials, readers, strict=True):
                    _until_a_letter_of(offset, since_ms, trial, letters)
                    trial.until_more(40)

    stage.run_together(
        cluster, Fault(name="clock jumps", options={"environment": clock.environment}, bound_s=BACK_S), jump
    )


def _until_a_letter_of(offset: timedelta, since_ms: int, trial: Trial, letters: Reader) -> None:
    """Wait for a dead letter since then whose own time is so far from that of the broker."""
    # What was in the make when the clock jumped is published since, but with the time from before.
    trial.until(
        f"a dead letter of a clock that is {offset.total_seconds():+.0f} s off",
        lambda: any(
            letter.timestamp >= since_ms and _clock_s(letter) == pytest.approx(offset.total_seconds(), abs=60)
            for letter in letters.take()
        ),
    )


def _clock_s(letter: ConsumerRecord) -> float:
    """Return how far the clock of a dead letter's worker was ahead of that of the broker."""
    written_s: float = letter.timestamp / 1000
    return datetime.fromisoformat(dict(letter.headers)["dlq.first-failure-time"].decode()).timestamp() - written_s

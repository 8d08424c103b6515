"""What is stuck, and how the process ends then: the ends are those of real processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from worker.exits import Exit
from worker.flow.stage_threads import Heartbeat
from worker.observe.watchdog import Check, Stall, StallDetector, Watchdog, WatchdogOptions

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock:
    """An age that a test sets."""

    def __init__(self) -> None:
        self.age_s = 0.0

    def check(self, what: str = "the scorer has not gone round", code: Exit = Exit.STUCK_SCORER) -> Check:
        return Check(what, lambda: self.age_s, 5, "--stuck-limit-s", code)


def _ages(detector: StallDetector, clock: Clock, *ages_s: float) -> list[bool]:
    stuck = []
    for clock.age_s in ages_s:
        stuck.append(bool(detector.look()))
    return stuck


def test_what_has_not_advanced_for_longer_than_its_limit_is_stuck() -> None:
    clock = Clock()
    detector = StallDetector([clock.check()], look_s=1)
    assert _ages(detector, clock, *range(1, 6)) == [False] * 5
    clock.age_s = 6
    (stuck,) = detector.look()
    assert str(stuck) == "the scorer has not gone round for 6 s (at most 5 s, --stuck-limit-s)"


def test_what_advances_now_and_then_is_not() -> None:
    clock = Clock()
    assert not any(_ages(StallDetector([clock.check()], look_s=1), clock, *[1, 2, 3, 4, 5, 0.5] * 3))


def test_after_a_pause_of_the_whole_process_the_count_goes_on_where_it_was() -> None:
    clock = Clock()
    detector = StallDetector([clock.check()], look_s=1)
    assert _ages(detector, clock, 1, 1000, 0.5, 1.5, 500, 501, 502) == [False] * 7
    assert _ages(detector, clock, 503) == [True]  # what is really stuck is found all the same


def test_all_that_is_stuck_is_named_in_its_order() -> None:
    first, second, third = Clock(), Clock(), Clock()
    detector = StallDetector(
        [first.check("the first"), second.check("the second"), third.check("the third")], look_s=10
    )
    second.age_s = third.age_s = 7
    assert [stuck.check.what for stuck in detector.look()] == ["the second", "the third"]


def test_a_pulse_that_stands_still_ends_the_process_once() -> None:
    ended = threading.Event()
    told: list[Sequence[Stall]] = []

    def end(stuck: Sequence[Stall]) -> None:
        told.append(stuck)
        ended.set()

    heartbeat = Heartbeat()
    with Watchdog(WatchdogOptions(stuck_limit_s=1), end) as watchdog:
        watchdog.start([Check("the main loop", heartbeat.age_s, 0.01, "--stuck-limit-s", Exit.STUCK_POLL)])
        assert ended.wait(60)
    assert [[stuck.check.code for stuck in each] for each in told] == [[Exit.STUCK_POLL]]


def _runs() -> bool:
    return "watchdog" in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(("limit_s", "runs"), [(0, False), (60, True)])
def test_it_ends_with_its_block_and_never_begins_where_the_limit_is_0(limit_s: float, *, runs: bool) -> None:
    with Watchdog(WatchdogOptions(stuck_limit_s=limit_s)) as watchdog:
        assert not _runs()
        watchdog.start([])
        assert _runs() == runs
    assert not _runs()


_PROCESS = """
import ctypes, os, sys, threading, time
from worker.observe import logs
from worker.observe import watchdog
from worker.exits import Exit
from worker.flow.stage_threads import Heartbeat

def hang_for_ever():
    threading.Event().wait()

logs.set_up(logs.LogOptions())
watchdog.Watchdog.SILENT_LIMITS = {silent_limits}
heartbeat = Heartbeat()
with watchdog.Watchdog(watchdog.WatchdogOptions(stuck_limit_s={limit_s})) as guard:
    guard.start([watchdog.Check("the loop", heartbeat.age_s, {limit_s}, "--stuck-limit-s", Exit.STUCK_POLL)])
    threading.Thread(target=hang_for_ever, name="hanging", daemon=True).start()
    {body}
print("the end")
{after}
"""


def _script(body: str, *, limit_s: float = 1, silent_limits: float = 5, after: str = "") -> str:
    return _PROCESS.format(limit_s=limit_s, silent_limits=silent_limits, body=body, after=after)


def _run(body: str, **more: Any) -> subprocess.CompletedProcess[str]:
    script = _script(body, **more)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def test_a_loop_that_spins_ends_the_process_with_its_status_every_stack_and_a_last_line() -> None:
    done = _run("while True: pass")
    assert done.returncode == Exit.STUCK_POLL
    lines = done.stderr.splitlines()
    assert re.fullmatch(
        r"rerank-worker: the loop for [1-9][\d.]* s \(at most 1 s, --stuck-limit-s\); "
        "what was not committed is read again after the restart",
        lines[-1],
    )
    said = lines[-1].removeprefix("rerank-worker: ")
    assert lines[0].endswith(f"CRITICAL worker.observe.watchdog: {said}")
    (hanging,) = [line.split()[1] for line in lines if line.endswith("is hanging")]
    stack = done.stderr.partition(f"Thread {hanging} (most recent call first):")[2].partition("\n\n")[0]
    assert "in hang_for_ever" in stack


def test_what_holds_the_interpreters_lock_ends_the_process_too() -> None:
    done = _run("ctypes.PyDLL(None).sleep(50)", silent_limits=1)
    assert done.returncode == Exit.CRASH
    assert done.stderr.startswith("Timeout (0:00:01)!")
    assert "in hang_for_ever" in done.stderr


def test_a_process_whose_loop_goes_round_is_left_alone_and_not_watched_any_more_after_the_block() -> None:
    done = _run("for _ in range(250): heartbeat.beat(); time.sleep(0.01)", silent_limits=2, after="time.sleep(2.5)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_a_log_that_nobody_reads_does_not_keep_the_process() -> None:
    script = _script("watchdog._REPORT_WITHIN_S = 1\n    while True: sys.stderr.write('x')")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.wait(60) == -signal.SIGALRM

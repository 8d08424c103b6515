"""Whether a member with a name of its own leaves the group when the worker is asked to stop, or stays in it.

Moving partitions there and back costs every member two rebalances; waiting for one that stays costs its lists the time
of the restart, and whoever stops does not know whether it comes back at all. So it stays only where the restart should
be over before anybody misses it. How long that takes is known from the start: it is expected to take twice as long,
since what starts a worker (an orchestrator, an image) takes time too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

OnStop = Literal["auto", "leave", "stay"]

STAYS_FOR_S = 6.0  # a longer session is for workers that are killed: one that stops in order is not waited for so long
_RESTART_BY_START = 2.0
_STARTED = 19  # behind the name of the process in /proc/self/stat


def leaves(on_stop: OnStop, *, session_timeout_s: float, start_s: float | None) -> bool:
    """Return whether to leave. `start_s` is what its own start took; None where it was never a member."""
    if on_stop != "auto":
        return on_stop == "leave"
    return start_s is None or _RESTART_BY_START * start_s > min(session_timeout_s, STAYS_FOR_S)


def process_age_s() -> float | None:
    """Return the seconds since this process was started; None where the system does not say."""
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        started_s = int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
    except (OSError, ValueError, IndexError, AttributeError):
        return None

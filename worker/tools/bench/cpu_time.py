"""How much processor time each thread of this process, and any other process, has used."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def thread_seconds() -> dict[str, float]:
    """Return the processor seconds of each living thread, by its name without a number; the rest is `other`.

    Threads that Python did not start (those of torch or of a tokenizer) and those that have ended are the rest.
    """
    found: dict[str, float] = {}
    for thread in threading.enumerate():
        if thread.ident is not None:
            name = "main" if thread is threading.main_thread() else re.sub(r"-\d+$", "", thread.name)
            found[name] = found.get(name, 0.0) + time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    found["other"] = max(0.0, time.process_time() - sum(found.values()))
    return found


def process_seconds(pids: Sequence[int]) -> float:
    """Return the processor seconds of these processes, their threads included; 0 where the system does not say."""
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for pid in pids:
        try:
            # Fields 14 and 15 of proc_pid_stat(5); the second field may contain spaces, and ends with a parenthesis.
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / ticks
    return seconds

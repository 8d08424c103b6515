"""How much processor time each thread of this process, and any other process, has used."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HZ = os.sysconf("SC_CLK_TCK")


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


def named_thread_seconds(pid: int, name: str) -> float:
    """Return the processor seconds of the living threads of a process whose name begins so, as the system knows it."""
    return sum(_ticks(stat) for stat in _read(Path(f"/proc/{pid}/task").glob("*/stat")) if f"({name}" in stat) / _HZ


def machine_seconds() -> float:
    """Return the processor seconds of all that runs on this machine; 0 where the system does not say."""
    fields = next(iter(_read([Path("/proc/stat")])), "cpu 0 0 0 0").split("\n", 1)[0].split()
    idle = {4, 5}  # idle and iowait
    return sum(int(value) for number, value in enumerate(fields[1:9], 1) if number not in idle) / _HZ


def process_seconds(pids: Sequence[int]) -> float:
    """Return the processor seconds of these processes, their threads included; 0 where the system does not say."""
    return sum(map(_ticks, _read(Path(f"/proc/{pid}/stat") for pid in pids))) / _HZ


def _read(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        with suppress(OSError):
            yield file.read_text("utf-8")


def _ticks(stat: str) -> int:
    # Fields 14 and 15 of proc_pid_stat(5); the second field may contain spaces, and ends with a parenthesis.
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])

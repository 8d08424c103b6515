"""Ends a process that has stopped advancing: says what is stuck, dumps every stack, exits with a status of its own."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn, Self

from annotated_types import Ge, Le
from typing_extensions import Doc

from worker.observe.logs import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.exits import Exit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogOptions:
    """When a worker that stands still ends itself."""

    stuck_limit_s: Annotated[
        float,
        Ge(0),
        Le(86_400),
        Doc("Seconds without a turn of main loop, scorer or publisher after which the worker ends; 0: never."),
    ] = 60.0


class Check(NamedTuple):
    """Something that must advance: for how long it has not, for how long it may not, and how the worker ends then."""

    what: str  # reads on with "for 60 s"
    age_s: Callable[[], float]
    limit_s: float
    option: str  # what sets the limit
    code: Exit


class Stall(NamedTuple):
    """What has not advanced for longer than it may, and for how long."""

    check: Check
    held_s: float

    def __str__(self) -> str:
        """Return it as a part of a sentence."""
        what, _, limit_s, option, _ = self.check
        return f"{what} for {self.held_s:.3g} s (at most {limit_s:g} s, {option})"


class StallDetector:
    """Says what is stuck, by looks that are `look_s` seconds apart.

    A look counts for no more than that, however late it came. A process that stood still as a whole (SIGSTOP, a frozen
    machine, no processor free) finds every age too high when it goes on, and nothing is stuck.
    """

    def __init__(self, checks: Sequence[Check], look_s: float) -> None:
        self._look_s = look_s
        self._held = [Stall(each, 0.0) for each in checks]

    def look(self) -> list[Stall]:
        """Return what is past its limit, in the order it was given."""
        self._held = [Stall(check, min(check.age_s(), held_s + self._look_s)) for check, held_s in self._held]
        return [each for each in self._held if each.held_s > each.check.limit_s]


class Watchdog:
    """A thread that looks about once a second, as a context manager: from `start` to the end of the block.

    Where it cannot run itself, because something holds the interpreter's lock, a thread of faulthandler, which needs no
    lock, dumps the stacks after `SILENT_LIMITS` times the limit and ends the process with status 1.
    """

    LOOK_S = 1.0
    LOOKS = 4  # at least, before a limit is reached
    SILENT_LIMITS = 5

    def __init__(self, options: WatchdogOptions, end: Callable[[Sequence[Stall]], None] | None = None) -> None:
        self._limit_s = options.stuck_limit_s
        self._end = end or end_process
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Return itself, not started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking. It is not an error if it was never started."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def start(self, checks: Sequence[Check]) -> None:
        """Begin to look at these, unless the limit is 0."""
        if self._limit_s:
            self._thread = threading.Thread(target=self._run, args=(checks,), name="watchdog", daemon=True)
            self._thread.start()

    def _run(self, checks: Sequence[Check]) -> None:
        look_s = min(self.LOOK_S, self._limit_s / self.LOOKS)
        detector = StallDetector(checks, look_s)
        stuck: list[Stall] = []
        while not stuck:
            faulthandler.dump_traceback_later(self.SILENT_LIMITS * self._limit_s, exit=True)
            if self._stopped.wait(look_s):
                return
            stuck = detector.look()
        self._end(stuck)


_REPORT_WITHIN_S = 10


def end_process(stuck: Sequence[Stall]) -> NoReturn:
    """Say what is stuck, with every stack, and end the process at once: no thread of it can be relied on any more."""
    # What is stuck may be the log: nobody reads standard error, and its pipe is full. Then the kernel ends the process.
    signal.alarm(_REPORT_WITHIN_S)
    message = f"{'; '.join(map(str, stuck))}; what was not committed is read again after the restart"
    log.critical("%s", message, extra={"event": "stuck"})
    names = [f"Thread 0x{thread.ident or 0:016x} is {thread.name}\n" for thread in threading.enumerate()]
    sys.stderr.write("".join(names))
    sys.stderr.flush()
    faulthandler.dump_traceback(all_threads=True)
    say(message, stuck[0].check.code)
    os._exit(stuck[0].check.code)

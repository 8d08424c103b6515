"""SIGTERM and SIGINT: the first asks the worker to finish, or ends it while nothing is in hand; the second ends it."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

from worker.exits import Exit
from worker.observe.logs import json_line

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger(__name__)


class StopSignals:
    """Installed on the main thread before anything slow begins."""

    def __init__(self) -> None:
        self._asked = False  # no lock: a handler may interrupt another
        self._in_hand = False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT: until `finish_first`, one of them ends the process at once, with status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def finish_first(self) -> None:
        """Let the first signal only ask from now on, since there may be something in hand. May be called again."""
        self._in_hand = True

    def asked(self) -> bool:
        """Whether the worker has been asked to finish."""
        return self._asked

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._asked:
            # Nothing is lost: what was not committed is read again.
            _say(logging.ERROR, f"a second signal, {name}: ending at once")
            os._exit(128 + number)
        self._asked = True
        if self._in_hand:
            _say(logging.INFO, f"{name}: stopping")
            return
        # Whatever the worker waits for, a broker or a model from the hub, it would wait for it in vain.
        _say(logging.INFO, f"{name}: stopping before anything was read")
        os._exit(Exit.OK)


def _say(level: int, message: str) -> None:
    """Log a line past the loggers: the signal may have come while one of them was writing."""
    if log.isEnabledFor(level):
        os.write(2, json_line(log.name, level, message, event="signal").encode() + b"\n")

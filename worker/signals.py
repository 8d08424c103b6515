"""SIGTERM and SIGINT: the first asks the worker to finish, the second ends it at once."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger(__name__)


class StopSignals:
    """Installed on the main thread before anything slow begins."""

    def __init__(self) -> None:
        self._asked = False  # no lock: a handler may interrupt another

    def install(self) -> None:
        """Take over SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def asked(self) -> bool:
        """Whether the worker has been asked to finish."""
        return self._asked

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            # Nothing is lost: what was not committed is read again.
            os.write(2, b"second signal: ending at once\n")
            os._exit(128 + number)
        self._asked = True

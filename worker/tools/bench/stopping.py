"""Ends a bench cleanly on Ctrl-C and SIGTERM: its children stop and its folders go, then it says so."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def stoppable() -> Iterator[None]:
    """Let both signals unwind the block, then end the process with status 130."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt

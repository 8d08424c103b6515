"""A wall clock that jumps, by libfaketime; the monotonic clock goes on as it is."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

_FILE = "FAKETIME_TIMESTAMP_FILE"

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


class WallClock:
    """What the processes with its `environment` read as the time of day."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(LIBRARY),
            _FILE: str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: timedelta) -> None:
        """Have it go so far ahead, at once."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset.total_seconds():+.0f}s\n")
        new.replace(self._file)


def mend_sleep() -> None:
    """Make time.sleep work under libfaketime, before anything sleeps.

    Its version 0.9.10 takes what is left of an absolute sleep on the monotonic clock for the whole of it, so that
    Python's fails with EINVAL; nothing else of Python sleeps so.
    """
    if _FILE in os.environ:
        time.sleep = _sleep  # type: ignore[assignment]


def _sleep(seconds: float) -> None:
    select.select([], [], [], max(0.0, seconds))

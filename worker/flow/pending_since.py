"""Since when something is being tried that may take long: the watchdog and a gauge ask for its age."""

from __future__ import annotations

import time


class PendingSince:
    """One thing that is tried until it succeeds; its thread begins and ends it, any may ask for its age."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def begin(self) -> None:
        """Note that it is tried from now on, if it is not already."""
        self._since_s = self._since_s or time.monotonic()

    def end(self) -> None:
        """Note that it has succeeded, or that there is nothing to try."""
        self._since_s = None

    def age_s(self) -> float:
        """Return for how long it has been tried and not succeeded; 0 while it is not tried. For any thread."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

"""How long something takes that takes a different time each time: what to count with, by the last few."""

from __future__ import annotations

from collections import deque


class Delays:
    """The last delays, in seconds. One thread observes, any may read what they amount to.

    `long_s` is what 99 of 100 stay below, 0 before the first.
    """

    _KEPT = 200
    _UPDATE_EVERY = 10  # sorting costs more than all else that happens to an event here

    def __init__(self) -> None:
        self.long_s = 0.0
        self._last: deque[float] = deque(maxlen=self._KEPT)
        self._observed = 0

    def observe(self, seconds: float) -> None:
        """Note a delay."""
        self._last.append(seconds)
        self._observed += 1
        if self._observed % self._UPDATE_EVERY == 0 or self._observed < self._UPDATE_EVERY:
            ordered = sorted(self._last)
            self.long_s = ordered[int(0.99 * len(ordered))]

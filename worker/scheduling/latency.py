"""97th percentile of recent latencies."""

from __future__ import annotations

from collections import deque


class LatencyWindow:
    """The latencies of the last seconds. One thread observes, any may read the percentile.

    `p97_s` is 0 before the first. One slow answer does not stay for long: what is older than `_WINDOW_S` is forgotten
    when the next one comes, and `p97_s` forgets it without one.
    """

    _KEPT = 200
    _WINDOW_S = 2.0
    _UPDATE_EVERY = 10  # sorting costs more than all else that happens to an event here

    def __init__(self) -> None:
        self._p97_s = 0.0
        self._last: deque[tuple[float, float]] = deque(maxlen=self._KEPT)
        self._newest_s = 0.0
        self._observed = 0

    def observe(self, seconds: float, now_s: float) -> None:
        """Note a latency that ended at `now_s`."""
        self._last.append((now_s, seconds))
        self._newest_s = now_s
        self._observed += 1
        if self._observed % self._UPDATE_EVERY == 0 or self._observed < self._UPDATE_EVERY:
            while self._last[0][0] < now_s - self._WINDOW_S:
                self._last.popleft()
            ordered = sorted(seconds for _, seconds in self._last)
            self._p97_s = ordered[int(0.97 * len(ordered))]

    def p97_s(self, now_s: float) -> float:
        """Return what 97 of 100 of the recent latencies stay below; 0 where none is recent."""
        return self._p97_s if now_s - self._newest_s <= self._WINDOW_S else 0.0

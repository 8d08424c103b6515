"""What comes: how much work, as a share of what the device can do, and how short its budgets are."""

from __future__ import annotations

import math
from collections import deque


class OfferedLoad:
    """Work that arrived in the last ten seconds, about, over their length; older work is forgotten exponentially.

    A queue alone cannot tell a burst, which the next quiet second makes good, from overload, which goes on.
    """

    _MEMORY_S = 10.0

    def __init__(self) -> None:
        self._came = [0.0, 0.0]  # tokens and squares since the last look
        self._tokens = 0.0
        self._squares = 0.0
        self._length_s = 0.0
        self._last_s = -math.inf

    def arrived(self, tokens: float, squares: float) -> None:
        """Note a list, by its load."""
        self._came[0] += tokens
        self._came[1] += squares

    def measure(self, now_s: float, per_token_s: float, per_square_s: float, longest_s: float = 0.0) -> float:
        """Return the seconds of work that arrived in a second, until now; infinite before any time has passed.

        `longest_s` is the longest time that a waiting list has left: what came within that still counts.
        """
        passed_s = max(0.0, now_s - self._last_s) if self._last_s > -math.inf else 0.0
        kept = math.exp(-passed_s / max(self._MEMORY_S, longest_s))
        self._tokens = self._tokens * kept + self._came[0]
        self._squares = self._squares * kept + self._came[1]
        self._length_s = self._length_s * kept + passed_s
        self._came = [0.0, 0.0]
        self._last_s = max(now_s, self._last_s)
        work_s = per_token_s * self._tokens + per_square_s * self._squares
        return work_s / self._length_s if self._length_s > 0 else math.inf


class ShortBudgets:
    """The budget that 5% of the last lists are below, in seconds; infinite before 20 have come."""

    _KEPT = 200
    _UPDATE_EVERY = 20

    def __init__(self) -> None:
        self.low_s = math.inf
        self._last: deque[float] = deque(maxlen=self._KEPT)
        self._arrived = 0

    def arrived(self, budget_s: float) -> None:
        """Note a list."""
        self._last.append(budget_s)
        self._arrived += 1
        if self._arrived % self._UPDATE_EVERY == 0:
            ordered = sorted(self._last)
            self.low_s = ordered[len(ordered) // 20]

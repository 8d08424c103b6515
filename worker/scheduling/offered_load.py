"""How much work comes, as a share of what the device can do: above 1 no schedule can score it all."""

from __future__ import annotations

import math


class OfferedLoad:
    """Work that arrived in the last seconds, over their length; older work is forgotten exponentially.

    A queue alone cannot tell a burst, which the next quiet second makes good, from overload, which goes on.
    """

    _MEMORY_S = 10.0

    def __init__(self) -> None:
        self._tokens = 0.0
        self._squares = 0.0
        self._length_s = 0.0
        self._last_s = -math.inf

    def arrived(self, tokens: float, squares: float) -> None:
        """Note a list, by its load."""
        self._tokens += tokens
        self._squares += squares

    def measure(self, now_s: float, per_token_s: float, per_square_s: float) -> float:
        """Return the seconds of work that arrived in a second, until now; infinite before any time has passed."""
        passed_s = max(0.0, now_s - self._last_s) if self._last_s > -math.inf else 0.0
        kept = math.exp(-passed_s / self._MEMORY_S)
        # What came since the last look is as recent as the time since then.
        self._tokens, self._squares, self._length_s = self._tokens * kept, self._squares * kept, self._length_s * kept
        self._length_s += passed_s
        self._last_s = max(now_s, self._last_s)
        work_s = per_token_s * self._tokens + per_square_s * self._squares
        return work_s / self._length_s if self._length_s > 0 else math.inf

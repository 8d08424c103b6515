"""How far the clocks that stamp records are from this machine's, as far as the records prove it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_S = 300.0
_STEP_S = 10.0


class Skew(NamedTuple):
    """By how many seconds timestamps were ahead of this machine's clock, and behind it; 0 if nothing proves that."""

    ahead_s: float
    behind_s: float


class ClockSkew:
    """The largest skews of the last five minutes, each a lower bound.

    A timestamp in the future comes from a clock that is ahead, by at least the difference. A timestamp from before the
    time since which its record can have been readable comes from a clock that is behind, by at least the difference, or
    from a record that was held back before it could be read: in the producer's buffer, by its retries, by a mirror that
    keeps timestamps, or by replicas that the broker waited for. The two cannot be told apart from here, and both take
    time from the event's budget.

    The largest one is kept, not a distribution: a single producer of a hundred with a wrong clock does not show in a
    quantile, and of many lower bounds of the same skew the largest is the best. Five minutes hold it while records come
    once a minute or more often, and an alert that waits for longer than that ignores records that were held back once.
    Times are seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._ahead = _Largest()
        self._behind = _Largest()

    def compare(self, stamped_s: float, received_s: float, readable_since_s: float | None) -> None:
        """Compare the timestamp of a record with when it was received and since when it can have been readable.

        None: nothing is known of that, and so nothing can be said of a clock that is behind.
        """
        self._ahead.add(stamped_s - received_s, received_s)
        if readable_since_s is not None:
            self._behind.add(readable_since_s - stamped_s, received_s)

    def largest(self, now_s: float) -> Skew:
        """Return the largest skews of the last five minutes."""
        return Skew(self._ahead.value(now_s), self._behind.value(now_s))


class _Largest:
    """The largest positive value lately, in steps of ten seconds, so that its size does not grow with the load."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque(maxlen=int(WINDOW_S / _STEP_S))

    def add(self, value: float, at_s: float) -> None:
        if value <= 0:
            return
        step = int(at_s // _STEP_S)
        if self._steps and self._steps[-1][0] == step:
            value = max(value, self._steps.pop()[1])
        self._steps.append((step, value))

    def value(self, now_s: float) -> float:
        first = int((now_s - WINDOW_S) // _STEP_S)
        return max((value for step, value in self._steps if step > first), default=0.0)

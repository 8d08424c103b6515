"""How much device time what waits would take, by what the last events took."""

from __future__ import annotations


class Backlog:
    """Learns how many pairs an event has and what a pair takes of the device; older events are forgotten exponentially.

    The two are learnt apart: an event of which only a part was scored, because time was short, says what a pair takes,
    and still has all its pairs. So overload, which makes events cheaper, does not make the backlog look smaller.
    """

    _KEEP = 1 - 1 / 500

    def __init__(self) -> None:
        self._events = 0.0
        self._pairs = 0.0
        self._scored = 0.0
        self._device_s = 0.0

    def ended(self, *, pairs: int, scored: int, device_s: float) -> None:
        """Learn from an event that had so many pairs, of which so many were scored within that time of the device."""
        self._events = self._events * self._KEEP + 1
        self._pairs = self._pairs * self._KEEP + pairs
        if scored:  # else it says nothing of the device, and must not make it be forgotten
            self._scored = self._scored * self._KEEP + scored
            self._device_s = self._device_s * self._KEEP + device_s

    def device_s(self, events: int) -> float:
        """Return the seconds that so many events would take, each scored as a whole; 0 before anything was scored."""
        if not self._scored:
            return 0.0
        return events * (self._pairs / self._events) * (self._device_s / self._scored)

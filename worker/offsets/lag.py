"""How far a partition is behind: how many of its records are not done, and how old the first of those is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.offsets.tracker import PartitionProgress
    from worker.records import Partition


class Watermark(NamedTuple):
    """How far a partition was received, and where it ended at a time of the monotonic clock; None: not known yet."""

    position: int | None
    end: int | None
    at_s: float


class Lag(NamedTuple):
    """Records that are not done, and the age of the first of them in seconds: 0 and 0 where there is none."""

    records: int
    seconds: float


class LagMeter:
    """Measures the lag of partitions, and remembers when there was nothing left to receive of them.

    The age of a record is known once it is received. Of one that still waits at the broker an upper bound is given: it
    is no older than the record before it, and was not there when there was nothing to receive. Before either is known,
    it is the time since the partition was assigned, a lower bound.
    """

    def __init__(self) -> None:
        self._assigned_s: dict[Partition, float] = {}
        self._empty_s: dict[Partition, float] = {}  # when there was last nothing to receive

    def begin(self, partitions: Iterable[Partition], now_s: float) -> None:
        """Take partitions in."""
        for partition in partitions:
            self._assigned_s[partition] = now_s
            self._empty_s.pop(partition, None)

    def end(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions."""
        for partition in partitions:
            self._assigned_s.pop(partition, None)
            self._empty_s.pop(partition, None)

    def measure(self, partition: Partition, place: Watermark, progress: PartitionProgress, now_s: float) -> Lag:
        """Return the lag of a partition that was taken in; what is not known yet counts as none."""
        position, end = place.position, place.end
        if position is not None and end is not None and position >= end:
            self._empty_s[partition] = place.at_s
        first = position if progress.offset is None else progress.offset
        records = 0 if first is None else max(first, position or 0, end or 0) - first
        if records == 0:
            return Lag(0, 0.0)
        since_s = self._since_s(partition, progress.last_s) if progress.first_s is None else progress.first_s
        return Lag(records, max(0.0, now_s - since_s))

    def _since_s(self, partition: Partition, last_s: float | None) -> float:
        """Return since when the next record, which was not received yet, may have been there."""
        bounds = [bound_s for bound_s in (self._empty_s.get(partition), last_s) if bound_s is not None]
        return max(bounds, default=self._assigned_s[partition])

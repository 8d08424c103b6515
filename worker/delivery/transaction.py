"""The open transaction: the events whose outcomes are in it, and when it is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.delivery.options import DeliveryOptions
    from worker.flow.job import Job
    from worker.records import Partition


class Transaction:
    """One transaction after the other, of which the first outcome opens the next.

    It ends when its interval since the last one is over, but not before the events of one batch have come; at once
    where it is full.
    """

    GATHER_S = 0.005  # the events of one batch come one by one: a transaction does not end on the first of them

    def __init__(self, options: DeliveryOptions) -> None:
        self._options = options
        self._sent_s: dict[Job, float] = {}  # its events, and when the outcome of each was sent
        self.began_s = 0.0  # when its first outcome was sent
        self._due_s = 0.0  # when it is to end
        self._earliest_s = 0.0  # when the next one may end

    def __len__(self) -> int:
        """Return how many events it has; without any, none is open."""
        return len(self._sent_s)

    def add(self, job: Job, sent_s: float) -> None:
        """Take in an event whose outcome was sent then."""
        if not self._sent_s:
            self.began_s, self._due_s = sent_s, self._first_due_s(sent_s)
        self._sent_s[job] = sent_s
        if len(self._sent_s) >= self._options.transaction_events:
            self._due_s = self.began_s

    def end_s(self, now_s: float) -> float:
        """Return when it is to end; where none is open, when one would that began now."""
        return max(now_s, self._due_s if self._sent_s else self._first_due_s(now_s))

    def next_tick_in_s(self, now_s: float) -> float | None:
        """Return how long it may still wait for more; None where none is open."""
        return max(0.0, self._due_s - now_s) if self._sent_s else None

    def is_due(self, now_s: float) -> bool:
        """Return whether it is to end now."""
        return bool(self._sent_s) and now_s >= self._due_s

    def put_off(self, until_s: float) -> None:
        """Let it end later."""
        self._due_s = until_s

    def has_waited_too_long(self, now_s: float) -> bool:
        """Return whether half of what the broker allows it is over."""
        return now_s >= self.began_s + self._options.transaction_timeout_s / 2

    def is_live(self) -> bool:
        """Return whether every partition that it has events of is still this worker's."""
        return all(job.tracked.live for job in self._sent_s)

    def next_offsets(self) -> dict[Partition, int]:
        """Return where each partition goes on behind its events, which came in the partition's order."""
        return {job.record.partition: job.record.next_offset for job in self._sent_s}

    def end(self, now_s: float) -> dict[Job, float]:
        """End it; return its events, and when the outcome of each was sent."""
        ended, self._sent_s = self._sent_s, {}
        self._earliest_s = now_s + self._options.transaction_interval_s
        return ended

    def _first_due_s(self, now_s: float) -> float:
        return max(now_s + self.GATHER_S, self._earliest_s)

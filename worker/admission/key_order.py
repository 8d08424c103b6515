"""Results of one key, or of a partition, leave in the order of their requests, also when a later one is ready first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from worker.flow.job import Job
    from worker.records import Partition, Record


def by_key(record: Record) -> tuple[Partition, bytes] | None:
    """Order the records of one key of one partition; a record without a key is not ordered."""
    return None if record.key is None else (record.partition, record.key)


def by_partition(record: Record) -> Partition:
    """Order all records of a partition: what leaves is then always its contiguous prefix."""
    return record.partition


def by_nothing(_: Record) -> None:
    """Order no record."""


class PrecedenceLinks:
    """Which event of the same key came before: kept by the main thread, which sees the events in their order."""

    def __init__(self, ordering_key: Callable[[Record], Hashable | None]) -> None:
        self._ordering_key = ordering_key
        self._last: dict[Hashable, Job] = {}

    def on_admitted(self, job: Job) -> None:
        """Note the event that it must not overtake and that is still inside, if any."""
        key = self._ordering_key(job.record)
        if key is not None:
            job.after = self._last.get(key)
            self._last[key] = job

    def on_finished(self, job: Job) -> None:
        """Forget an event that has ended."""
        key = self._ordering_key(job.record)
        if key is not None and self._last.get(key) is job:
            del self._last[key]


class Resequencer:
    """Holds back what is ready too early; kept by the publisher, which sees the events as they get ready."""

    def __init__(self) -> None:
        self._held: dict[Job, Job] = {}  # the event that is waited for -> the one that waits

    def __len__(self) -> int:
        """Return how many events are held back."""
        return len(self._held)

    def ready(self, job: Job) -> Iterator[Job]:
        """Take an event that is ready; give those that may leave now, in order.

        Whether one is dropped because the one before it was is seen only when it is its turn.
        """
        if job.after is not None and not job.after.left:
            self._held[job.after] = job
            return
        following: Job | None = job
        while following is not None:
            before = following.after
            if before is not None and before.dropped and before.tracked.epoch == following.tracked.epoch:
                # Its next owner reads both again, and would publish this one a second time, behind the other.
                following.drop()
            following.left = True
            following.after = None  # or every event of a key would keep all earlier ones alive
            yield following
            following = self._held.pop(following, None)

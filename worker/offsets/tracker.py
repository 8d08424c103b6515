"""Tracks which offsets are done: for each assignment of a partition, the contiguous prefix that may be committed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.records import Partition


class _Assignment:
    """One stay of a partition with this worker: an epoch."""

    __slots__ = (
        "committed",
        "epoch",
        "in_transactions",
        "last_s",
        "live",
        "open",
        "position",
        "tracked_offsets",
        "wanted",
    )

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.live = True
        self.wanted = True
        self.tracked_offsets: deque[TrackedOffset] = deque()  # received and not yet in the prefix, by offset
        self.open = 0  # tracked_offsets that have not ended
        self.position: int | None = None  # the next offset to read after everything up to here is done
        self.committed: int | None = None
        self.in_transactions = False  # it is committed with the outcomes, and in no other way
        self.last_s: float | None = None  # when the last one that was received was made


class PartitionProgress(NamedTuple):
    """The first offset that is not done and when its record was made, and when the last record received was made.

    Times are as they were given; None where there is no such record.
    """

    offset: int | None
    first_s: float | None
    last_s: float | None


class TrackedOffset:
    """One received offset. Its job carries it; the main thread alone opens and ends it."""

    __slots__ = ("_assignment", "created_s", "done", "ended", "next_offset", "offset", "partition")

    def __init__(
        self, partition: Partition, offset: int, next_offset: int, created_s: float, assignment: _Assignment
    ) -> None:
        self.partition = partition
        self.offset = offset
        self.next_offset = next_offset
        self.created_s = created_s
        self.done = False
        self.ended = False
        self._assignment = assignment

    @property
    def live(self) -> bool:
        """Whether its result may be published and committed: the epoch has not ended. Any thread may ask."""
        return self._assignment.live

    @property
    def wanted(self) -> bool:
        """Whether it is worth starting work on it: the partition is not about to be given up. Any thread may ask."""
        return self._assignment.wanted

    @property
    def epoch(self) -> int:
        """The assignment epoch it was received in."""
        return self._assignment.epoch


class OffsetTracker:
    """The received offsets of every assigned partition, and how far each partition is done without a gap.

    Compaction and transaction markers leave holes in the offsets, so the prefix runs over the offsets that were
    *received*; what may be committed is the last one of the prefix, plus one, or what it says comes next.
    """

    def __init__(self) -> None:
        self._assigned: dict[Partition, _Assignment] = {}
        self._epochs = 0

    @property
    def partitions(self) -> frozenset[Partition]:
        """The partitions this worker owns."""
        return frozenset(self._assigned)

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Begin a new epoch for each partition; what was open in an earlier one is stale."""
        for partition in partitions:
            self._end(partition)
            self._epochs += 1
            self._assigned[partition] = _Assignment(self._epochs)

    def start_revoking(self, partitions: Iterable[Partition]) -> None:
        """Begin to give partitions up: stages drop what is queued, what is in hand may still be published."""
        for partition in partitions:
            if assignment := self._assigned.get(partition):
                assignment.wanted = False

    def reset(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Begin a new epoch for partitions with open or dropped events; return the first of those events' offsets."""
        restarted = {
            partition: assignment.tracked_offsets[0].offset
            for partition in partitions
            if (assignment := self._assigned.get(partition)) and assignment.tracked_offsets
        }
        self.assign(restarted)
        return restarted

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Give the partitions up: nothing of them can be committed any more."""
        for partition in partitions:
            self._end(partition)

    def track(
        self, partition: Partition, offset: int, next_offset: int | None = None, created_s: float = 0.0
    ) -> TrackedOffset | None:
        """Note a received offset, where the partition goes on behind it if not with the next one, and its time.

        None where the partition is not (or no longer) this worker's.
        """
        assignment = self._assigned.get(partition)
        if assignment is None or not assignment.wanted:
            return None
        tracked = TrackedOffset(
            partition, offset, offset + 1 if next_offset is None else next_offset, created_s, assignment
        )
        assignment.last_s = created_s
        assignment.tracked_offsets.append(tracked)
        assignment.open += 1
        return tracked

    def finish(self, tracked: TrackedOffset, *, done: bool, committed: bool = False) -> None:
        """Finish a tracked offset: `done` if its outcome was acknowledged, otherwise dropped; twice is an error.

        A dropped offset stays in the way of the prefix, so that it is read again by whoever owns the partition next.
        `committed` says that everything up to it was committed with it, in a transaction.
        """
        if tracked.ended:
            raise ValueError(f"{tracked.partition} offset {tracked.offset} ended twice")
        tracked.ended = True
        tracked.done = done
        assignment = tracked._assignment  # noqa: SLF001 - the two classes are one idea
        assignment.open -= 1
        while assignment.tracked_offsets and assignment.tracked_offsets[0].done:
            assignment.position = assignment.tracked_offsets.popleft().next_offset
        if committed:
            assignment.in_transactions = True
            assignment.committed = assignment.position

    def open_count(self, partitions: Iterable[Partition]) -> int:
        """Return how many offsets of these partitions are not finished."""
        return sum(assignment.open for partition in partitions if (assignment := self._assigned.get(partition)))

    def progress(self, partition: Partition) -> PartitionProgress:
        """Return how far a partition is."""
        assignment = self._assigned[partition]
        if not assignment.tracked_offsets:
            return PartitionProgress(None, None, assignment.last_s)
        first = assignment.tracked_offsets[0]
        return PartitionProgress(first.offset, first.created_s, assignment.last_s)

    def advance(self, positions: dict[Partition, int]) -> None:
        """Skip offsets that hold no record (transaction markers, compacted records).

        `positions` are where reading has come to. One counts once everything received of its partition is done. Before
        a first record is done, committing waits for it. Where offsets are committed in transactions they are in these
        alone: a commit beside them could come late, and lead back behind a transaction.
        """
        for partition, position in positions.items():
            assignment = self._assigned.get(partition)
            if assignment is None or assignment.position is None or assignment.in_transactions:
                continue
            if assignment.wanted and not assignment.tracked_offsets:
                assignment.position = max(assignment.position, position)

    def committable(self, partitions: Iterable[Partition] | None = None) -> dict[Partition, int]:
        """Return the offsets to commit that were not committed yet, of all partitions or of these."""
        chosen = self._assigned if partitions is None else partitions
        return {
            partition: assignment.position
            for partition in chosen
            if (assignment := self._assigned.get(partition))
            and assignment.position is not None
            and assignment.position != assignment.committed
        }

    def epochs(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the assignment epoch of each of these partitions that this worker owns."""
        return {name: assignment.epoch for name in partitions if (assignment := self._assigned.get(name))}

    def committed(self, offsets: dict[Partition, int], epochs: dict[Partition, int] | None = None) -> None:
        """Note what the broker has acknowledged; of a commit of these epochs, where the answer may come late."""
        for partition, offset in offsets.items():
            assignment = self._assigned.get(partition)
            if assignment and (epochs is None or epochs.get(partition) == assignment.epoch):
                assignment.committed = offset

    def _end(self, partition: Partition) -> None:
        if assignment := self._assigned.pop(partition, None):
            assignment.live = assignment.wanted = False

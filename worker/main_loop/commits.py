"""Commits the offsets of what is done, and says for how long that has not succeeded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from worker.flow.pending_since import PendingSince
from worker.kafka_io import CommitRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.kafka_io import Consumer, PendingCommit, Rebalance
    from worker.observe.metrics import Metrics
    from worker.offsets.tracker import OffsetTracker
    from worker.records import Partition

log = logging.getLogger(__name__)


class _Pending(NamedTuple):
    """A commit on its way: its offsets, and the stays of their partitions that they are of."""

    commit: PendingCommit
    offsets: dict[Partition, int]
    epochs: dict[Partition, int]


class Commits:
    """The commits of the main loop; for its thread, but for `age_s`. `positions` says where reading has come to.

    At most one is on its way, and nothing waits for its answer but a hand-over and the end. The answer counts for the
    stay of a partition that it was sent in, and for no later one.
    """

    RETRY_S = 1.0  # how soon a commit that was refused is tried again, if not sooner

    def __init__(
        self,
        consumer: Consumer,
        tracker: OffsetTracker,
        positions: Callable[[], dict[Partition, int]],
        metrics: Metrics,
        interval_s: float,
    ) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._positions = positions
        self._metrics = metrics
        self._interval_s = interval_s
        self._attempt = PendingSince()
        self._due_s = 0.0
        self._pending: _Pending | None = None
        self._is_unsure = False  # a commit had no answer, or one that may not be true

    def age_s(self) -> float:
        """Return for how long a commit has been tried and not succeeded; 0 while there is none. For any thread."""
        return self._attempt.age_s()

    def on_tick(self) -> None:
        """Look at the answer to the commit that is on its way; begin the next one if it is time. Waits for nothing."""
        self._take_answer()
        if self._pending is None and time.monotonic() >= self._due_s:
            self._begin()
            self._take_answer()

    def commit(self) -> bool:
        """Commit what is done and wait for the answer, for a few seconds; return whether nothing is left to commit."""
        if not (offsets := self._what_is_done()):
            return True
        epochs = self._tracker.epochs(offsets)
        try:
            self._consumer.commit(offsets)
        except CommitRefused as error:
            self._refused(error)
            return False
        finally:
            self._take_answer()  # it has waited for that one too
        self._accepted(offsets, epochs)
        return True

    def _what_is_done(self) -> dict[Partition, int]:
        self._tracker.advance(self._positions())
        offsets = self._tracker.committable()
        if offsets:
            self._attempt.begin()
        else:
            self._attempt.end()
        return offsets

    def _begin(self) -> None:
        if offsets := self._what_is_done():
            self._pending = _Pending(self._consumer.begin_commit(offsets), offsets, self._tracker.epochs(offsets))
        else:
            self._due_s = time.monotonic() + self._interval_s

    def _take_answer(self) -> None:
        """Note how the commit that is on its way has ended, if it has; the next one is due an interval after that."""
        if self._pending is None or not self._pending.commit.answered:
            return
        (commit, offsets, epochs), self._pending = self._pending, None
        again_s = self._interval_s
        try:
            commit.check()
        except CommitRefused as error:
            self._refused(error)
            again_s = min(again_s, self.RETRY_S)
        else:
            self._accepted(offsets, epochs)
        self._due_s = time.monotonic() + again_s

    def _refused(self, error: CommitRefused) -> None:
        # The group moved on without this member, and the next poll says which partitions are lost; or nobody knows
        # whether the offsets were committed: a request without an answer may still arrive.
        log.warning("commit refused: %(error)s", {"error": error}, extra={"event": "commit_refused"})
        self._is_unsure = True
        self._note(accepted=False)

    def _accepted(self, offsets: dict[Partition, int], epochs: dict[Partition, int]) -> None:
        if self._is_unsure:
            # One without an answer may have come behind this one, on a connection of its own: commit once more.
            self._is_unsure = False
        else:
            self._tracker.committed(offsets, epochs)
        self._note(accepted=True)

    def release(self, rebalance: Rebalance) -> None:
        """Give partitions up: their next owner goes on behind what is done of them."""
        offsets = self._tracker.committable(rebalance.partitions)
        self._tracker.revoke(rebalance.partitions)
        accepted = rebalance.release(offsets)  # behind the answer to the commit that is on its way
        self._take_answer()
        if offsets:
            self._note(accepted=accepted)

    def _note(self, *, accepted: bool) -> None:
        self._metrics.progress.commits.labels("ok" if accepted else "refused").inc()
        if accepted:
            self._attempt.end()

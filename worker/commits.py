"""Commits the offsets of what is done, and says for how long that has not succeeded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from worker.attempt import Attempt
from worker.kafka_io import CommitRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.jobs import Partition
    from worker.kafka_io import Consumer, Rebalance
    from worker.ledger import Ledger
    from worker.metrics import Metrics

log = logging.getLogger(__name__)


class Commits:
    """The commits of the main loop; for its thread, but for `age_s`. `positions` says where reading has come to."""

    RETRY_S = 1.0  # how soon a commit that was refused is tried again, if not sooner

    def __init__(
        self,
        consumer: Consumer,
        ledger: Ledger,
        positions: Callable[[], dict[Partition, int]],
        metrics: Metrics,
        interval_s: float,
    ) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._positions = positions
        self._metrics = metrics
        self._interval_s = interval_s
        self._attempt = Attempt()
        self._due_s = 0.0

    def age_s(self) -> float:
        """Return for how long a commit has been tried and not succeeded; 0 while there is none. For any thread."""
        return self._attempt.age_s()

    def tend(self) -> None:
        """Commit if it is time."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            again_s = self._interval_s if self.commit() else min(self._interval_s, self.RETRY_S)
            self._due_s = now_s + again_s

    def commit(self) -> bool:
        """Commit what is done; return whether nothing is left to commit."""
        self._ledger.advance(self._positions())
        offsets = self._ledger.committable()
        if not offsets:
            self._attempt.end()
            return True
        self._attempt.begin()
        try:
            self._consumer.commit(offsets)
        except CommitRefused as error:
            # The group moved on without this member; the next poll says which partitions are lost.
            log.warning("commit refused: %(error)s", {"error": error}, extra={"event": "commit_refused"})
            self._note(accepted=False)
            return False
        self._ledger.committed(offsets)
        self._note(accepted=True)
        return True

    def release(self, rebalance: Rebalance) -> None:
        """Give partitions up: their next owner goes on behind what is done of them."""
        offsets = self._ledger.committable(rebalance.partitions)
        self._ledger.forget(rebalance.partitions)
        accepted = rebalance.release(offsets)
        if offsets:
            self._note(accepted=accepted)

    def _note(self, *, accepted: bool) -> None:
        self._metrics.progress.commits.labels("ok" if accepted else "refused").inc()
        if accepted:
            self._attempt.end()

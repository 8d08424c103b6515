"""The owner of transactions: outcomes and the offsets of their events become visible together, or not at all.

docs/delivery.md has the protocol and the reasons for its order.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from worker.attempt import Attempt
from worker.delivery.keyed_topics import KeyedTopics
from worker.delivery.outcomes import Ending
from worker.exits import Exit, StopError
from worker.kafka_io import KeyWantedInTransaction, TransactionFailed
from worker.scheduling.latency import LatencyWindow
from worker.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from worker.channel import Channel
    from worker.delivery.options import DeliveryOptions
    from worker.delivery.outcomes import Outgoing
    from worker.jobs import Job
    from worker.kafka_io import TransactionalProducer
    from worker.metrics import Metrics
    from worker.pipeline import Pulse

log = logging.getLogger(__name__)


# What a broker that starts or loses its leader also looks like.
_PASSING = {Exit.UNREACHABLE, Exit.TOPIC, Exit.CRASH}


class ExactlyOnce:
    """One transaction at a time, which takes the outcomes of events that come in the order of their partitions.

    `connect` returns a producer that has made sure that no transaction of an earlier one is open. `membership` gives
    the member's place in the group for as long as it is held, or None while a rebalance is under way. Nothing that
    went wrong is repaired: the producer is thrown away, and the events of its transaction end as dropped, which makes
    the main loop read their partitions again from what is committed.
    """

    RETRY_S = 0.005  # how soon to look whether a rebalance is over

    def __init__(  # noqa: PLR0913 - it stands between the publisher, the group, the broker and the main loop
        self,
        connect: Callable[[], TransactionalProducer],
        membership: Callable[[], AbstractContextManager[Any]],
        options: DeliveryOptions,
        endings: Channel[Ending],
        metrics: Metrics,
        *,
        pulse: Pulse,
        patience_s: float,
    ) -> None:
        self._connect = connect
        self._membership = membership
        self._options = options
        self._endings = endings
        self._metrics = metrics
        self._pulse = pulse
        self._patience_s = patience_s  # how long to try for a new producer
        self.delays = LatencyWindow()
        self.keyed = KeyedTopics()
        self._ends = LatencyWindow()  # what the ends of transactions take
        self._producer = connect()
        self._open = Transaction(options)
        self._closing = Attempt()
        self._failing_s = 0.0  # spent on transactions that failed since the last one that did not

    def visible_s(self, now_s: float) -> float:
        """Count with when the transaction is due, and with what its end takes."""
        return self._open.end_s(now_s) + self._ends.p97_s(now_s)

    def send(self, job: Job, outgoing: Outgoing) -> None:
        """Send an outcome within the open transaction; the first one opens it."""
        now_s = time.monotonic()
        try:
            self._producer.send(*outgoing)
        except TransactionFailed as error:
            self._open.add(job, now_s)
            self._start_over(error)
        else:
            self._open.add(job, now_s)

    def drop(self, job: Job) -> None:
        """End it at once: what comes behind it in its partition is dropped too, by the order."""
        self._endings.put(Ending(job, time.monotonic()))

    def patience_s(self, now_s: float) -> float | None:
        """Return how long the open transaction may still wait for more."""
        return self._open.patience_s(now_s)

    def tend(self, now_s: float) -> None:
        """End the transaction if it is due."""
        if self._open.is_due(now_s):
            self._close(now_s)

    def finish(self) -> None:
        """End the transaction, or give it up where the worker has given its partitions up."""
        while self._open:
            self._close(time.monotonic())
            time.sleep(self.RETRY_S if self._open else 0)

    def close(self) -> None:
        """Abort what is open: readers would wait for it until the broker does so."""
        self._producer.close()

    def commit_age_s(self) -> float:
        """Return for how long the worker has been trying to end a transaction; 0 while it is not. For any thread."""
        return self._closing.age_s()

    def outcome_age_s(self) -> float:
        """Return 0: the publisher waits for what it has sent itself, for so long at most as its pulse allows for."""
        return 0.0

    def _close(self, now_s: float) -> None:
        """Commit; or start over; or, while a rebalance is under way, put it off."""
        self._closing.begin()
        self._pulse.beat(3 * self._options.transaction_timeout_s)  # for the records, the offsets and the end
        try:
            self._producer.settle()
            # The place in the group first, then the look at the tickets: while it is held this member joins no new
            # generation, so a partition that is still its own here is so until the commit is through.
            with self._membership() as group:
                if self._must_wait(group, now_s):
                    self._open.put_off(now_s + self.RETRY_S)
                    return
                self._producer.commit(self._open.next_offsets(), group)
        except TransactionFailed as error:
            self._start_over(error)
            return
        self._failing_s = 0.0
        ended_s = time.monotonic()
        self._ends.observe(ended_s - now_s, ended_s)
        self._count("committed", now_s)
        self._end(committed=True)

    def _must_wait(self, group: Any, now_s: float) -> bool:
        """Return whether a rebalance is under way. Raises TransactionFailed where the transaction is to be given up."""
        if not self._open.is_live():
            raise TransactionFailed("a partition was given up meanwhile")
        if group is None and self._open.has_waited_too_long(now_s):
            raise TransactionFailed("a rebalance has taken too long")
        return group is None

    def _start_over(self, error: TransactionFailed) -> None:
        """Give the transaction up. Only a new producer knows for certain that the old one's work is undone or done."""
        now_s = time.monotonic()
        if isinstance(error, KeyWantedInTransaction):
            self.keyed.add(error.topic)
        self._closing.begin()
        log.warning(
            "a transaction was given up, its events are read again: %(error)s",
            {"error": error},
            extra={"event": "transaction_given_up"},
        )
        self._failing_s += now_s - self._open.began_s
        self._producer.close()
        self._producer = self._replaced(now_s + self._patience_s - self._failing_s, error)
        self._failing_s += time.monotonic() - now_s
        self._count("aborted", now_s)
        self._end(committed=False)

    def _replaced(self, give_up_s: float, why: Exception) -> TransactionalProducer:
        """Return a new producer. Raises StopError where there is none by then."""
        while time.monotonic() < give_up_s:
            self._pulse.beat(self._patience_s)
            try:
                return self._connect()
            except StopError as error:
                if error.code not in _PASSING:
                    raise
                log.warning("no new producer yet: %(error)s", {"error": error}, extra={"event": "no_producer"})
                why = error
                time.sleep(self.RETRY_S)
        raise StopError(
            Exit.STUCK,
            f"no transaction could be finished for {self._patience_s:g} s (delivery_timeout_s): {why}; what was not "
            "committed is read again after a restart",
        ) from why

    def _count(self, result: str, closing_s: float) -> None:
        now_s = time.monotonic()
        self._metrics.progress.transactions.labels(result).inc()
        self._metrics.progress.transaction_seconds.observe(now_s - self._open.began_s)
        self._metrics.progress.transaction_end_seconds.observe(now_s - closing_s)

    def _end(self, *, committed: bool) -> None:
        now_s = time.monotonic()
        self._closing.end()
        for job, sent_s in self._open.end(now_s).items():
            job.dropped = not committed
            if committed:
                self.delays.observe(now_s - sent_s, now_s)
            self._endings.put(Ending(job, now_s, committed=committed))

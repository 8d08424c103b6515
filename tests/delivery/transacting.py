"""A delivery in transactions, on producers that fail where they are told to."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support import making
from worker.dead_letters import REASONS
from worker.delivery import DeliveryOptions, Ending, ExactlyOnce
from worker.exits import StopError
from worker.flow.channel import Channel
from worker.flow.stage_threads import Heartbeat
from worker.kafka_io import TransactionFailed
from worker.observe.metrics import Metrics
from worker.offsets.tracker import OffsetTracker
from worker.records import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.flow.job import Job
    from worker.records import Partition

LONG_S = 1.0


class Producer:
    """A producer that fails where it is told to, and notes what it was asked."""

    def __init__(self, failing: str | None = None, error: Exception | None = None) -> None:
        self.done: list[Any] = []
        self._failing = failing
        self._error = error or TransactionFailed("no answer")

    def send(self, topic: str, *_: Any) -> None:
        self._do("send", topic)

    def settle(self) -> None:
        self._do("settle")

    def commit(self, offsets: dict[Partition, int], group: Any) -> None:
        self._do("commit", offsets, group)

    def close(self) -> None:
        self._do("close")

    def _do(self, *what: Any) -> None:
        self.done.append(what[0] if len(what) == 1 else what)
        if what[0] == self._failing:
            raise self._error


class Line:
    """A delivery, its producers in the order they are made, and the place in the group that it is given."""

    def __init__(self, *producers: Producer | StopError, patience_s: float = 60.0, **options: Any) -> None:
        self._producers = iter(producers)
        self.tracker = OffsetTracker()
        self.tracker.assign([making.PARTITION])
        self.place: str | None = "place"
        self.endings: Channel[Ending] = Channel()
        self.metrics = Metrics(REASONS)
        self.heartbeat = Heartbeat()
        self._offset = 0
        self.delivery = ExactlyOnce(
            self._connect,
            self._membership,
            DeliveryOptions(**{"transaction_interval_s": LONG_S, **options}),
            self.endings,
            self.metrics,
            heartbeat=self.heartbeat,
            patience_s=patience_s,
        )

    def send(self, *, key: bytes | None = None) -> Job:
        job = making.job(1, offset=self._offset, key=key, tracker=self.tracker)
        self._offset += 1
        self.delivery.send(job, Outgoing("results", key, b"{}", ()))
        return job

    def on_tick(self, *, in_s: float = 0.0) -> None:
        self.delivery.on_tick(time.monotonic() + in_s)

    def ended(self) -> list[tuple[Job, bool, bool]]:
        return [(ending.job, ending.job.dropped, ending.committed) for ending in self.endings.take(0)]

    def count(self, result: str) -> float | None:
        return self.metrics.registry.get_sample_value("rerank_transactions_total", {"result": result})

    def _connect(self) -> Any:
        made = next(self._producers)
        if isinstance(made, StopError):
            raise made
        return made

    @contextmanager
    def _membership(self) -> Iterator[str | None]:
        yield self.place

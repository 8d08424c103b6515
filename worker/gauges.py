"""Brings the gauges up to date that show where the worker stands: its partitions, their lag, and the door."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.backlog import Backlog
from worker.lag import LagMeter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.door import Door
    from worker.jobs import Job, Partition
    from worker.kafka_io import Consumer
    from worker.ledger import Ledger
    from worker.metrics import Metrics


class Gauges:
    """What the main loop shows of itself; for its thread."""

    def __init__(self, consumer: Consumer, ledger: Ledger, door: Door, metrics: Metrics) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._door = door
        self._metrics = metrics
        self._meter = LagMeter()
        self._backlog = Backlog()

    def begin(self, partitions: Iterable[Partition]) -> None:
        """Show partitions that were assigned."""
        self._meter.begin(partitions, time.monotonic())
        self._metrics.add_partitions(partitions)
        self._metrics.partitions_assigned.set(len(self._ledger.partitions))

    def end(self, partitions: Iterable[Partition]) -> None:
        """Show partitions no more."""
        self._meter.end(partitions)
        self._metrics.remove_partitions(partitions)
        self._metrics.partitions_assigned.set(len(self._ledger.partitions))

    def ended(self, job: Job) -> None:
        """Learn what an event takes."""
        if job.pairs is not None:  # else it was never known what there was to score
            self._backlog.ended(pairs=len(job.pairs), scored=job.limit - job.unscored, device_s=job.device_s)

    def update(self) -> None:
        """Set what changes all the time."""
        metrics, owned = self._metrics, self._ledger.partitions
        metrics.in_flight_tokens.set(self._door.in_flight_tokens)
        metrics.in_flight_bytes.set(self._door.in_flight_bytes)
        metrics.partitions_paused.set(len(owned) if self._door.paused else 0)
        now_s, records = time.monotonic(), 0
        for partition, place in self._consumer.places().items():
            if partition in owned:
                lag = self._meter.measure(partition, place, self._ledger.standing(partition), now_s)
                records += lag.records
                metrics.lag_records.labels(partition.topic, partition.number).set(lag.records)
                metrics.lag_seconds.labels(partition.topic, partition.number).set(lag.seconds)
        metrics.backlog.set(self._backlog.device_s(records))

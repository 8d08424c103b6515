"""Updates the gauges of the worker's partitions, their lag, what is in flight, and the clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.offsets.lag import LagMeter
from worker.scheduling.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.admission.in_flight import InFlight
    from worker.flow.job import Job
    from worker.kafka_io import Consumer
    from worker.observe.metrics import Metrics
    from worker.offsets.clock_skew import ClockSkew
    from worker.records import Partition


class PartitionGauges:
    """What the main loop shows of itself; for its thread."""

    EVERY_S = 1.0

    def __init__(self, consumer: Consumer, in_flight: InFlight, clock_skew: ClockSkew, metrics: Metrics) -> None:
        self._consumer = consumer
        self._tracker = in_flight.tracker
        self._limit = in_flight.limit
        self._clock_skew = clock_skew
        self._metrics = metrics
        self._meter = LagMeter()
        self._backlog = Backlog()
        self._due_s = 0.0

    def begin(self, partitions: Iterable[Partition]) -> None:
        """Show partitions that were assigned."""
        self._meter.begin(partitions, time.monotonic())
        self._metrics.partitions.begin(partitions)
        self._metrics.partitions.assigned.set(len(self._tracker.partitions))

    def end(self, partitions: Iterable[Partition]) -> None:
        """Show partitions no more."""
        self._meter.end(partitions)
        self._metrics.partitions.end(partitions)
        self._metrics.partitions.assigned.set(len(self._tracker.partitions))

    def ended(self, job: Job) -> None:
        """Learn what an event takes."""
        scoring = job.scoring
        if scoring.pairs is not None:  # otherwise nobody ever knew what there was to score
            self._backlog.ended(
                pairs=len(scoring.pairs) + scoring.left_out,
                scored=scoring.limit - scoring.unscored,
                device_s=job.timeline.device_s,
            )

    def on_tick(self) -> None:
        """Set what changes all the time, if it is time."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + self.EVERY_S
            self._show_in_flight()
            self._show_lag(now_s)
            self._show_clock_skew(now_s)

    def _show_in_flight(self) -> None:
        self._metrics.partitions.in_flight_tokens.set(self._limit.in_flight_tokens)
        self._metrics.partitions.in_flight_bytes.set(self._limit.in_flight_bytes)
        self._metrics.partitions.paused.set(len(self._tracker.partitions) if self._limit.paused else 0)

    def _show_lag(self, now_s: float) -> None:
        owned, records = self._tracker.partitions, 0
        for partition, place in self._consumer.places().items():
            if partition in owned:
                lag = self._meter.measure(partition, place, self._tracker.progress(partition), now_s)
                records += lag.records
                self._metrics.partitions.lag_records.labels(partition.topic, partition.number).set(lag.records)
                self._metrics.partitions.lag_seconds.labels(partition.topic, partition.number).set(lag.seconds)
        self._metrics.progress.backlog.set(self._backlog.device_s(records))

    def _show_clock_skew(self, now_s: float) -> None:
        skew = self._clock_skew.largest(now_s)
        self._metrics.events.clock_skew.labels("ahead").set(skew.ahead_s)
        self._metrics.events.clock_skew.labels("behind").set(skew.behind_s)

"""The main loop: it owns the consumer and every offset, admits records, settles endings and commits."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, assert_never

from annotated_types import Gt
from typing_extensions import Doc

from worker.admission.dead_letter_guard import stopped_by
from worker.dead_letters.corrupt_records import OnCorruptRecord, stopped_at
from worker.main_loop.commits import Commits
from worker.main_loop.event_metrics import EventCounter
from worker.main_loop.intake import Intake
from worker.main_loop.partition_metrics import PartitionGauges
from worker.offsets.clock_skew import ClockSkew

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.admission.in_flight import InFlight
    from worker.delivery import Ending
    from worker.flow.channel import Channel
    from worker.flow.job import Job
    from worker.flow.stage_threads import Heartbeat, StageThreads
    from worker.kafka_io import Consumer, PositionJump, Rebalance
    from worker.observe.metrics import Metrics
    from worker.records import Partition

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What is read, how often offsets are committed, and how long a stop may take."""

    on_corrupt_record: Annotated[
        OnCorruptRecord,
        Doc("What to do about records that cannot be read: stop before them, or pass over them with a dead letter."),
    ] = "stop"
    commit_interval_s: Annotated[float, Gt(0), Doc("Seconds between two commits of what is done.")] = 1.0
    drain_timeout_s: Annotated[
        float, Gt(0), Doc("Seconds that a stop waits for the events in hand; what is left is read again later.")
    ] = 20.0
    hand_over_timeout_s: Annotated[
        float, Gt(0), Doc("Seconds that a rebalance waits for the events in hand of partitions that are given up.")
    ] = 3.0


class MainLoop:
    """Everything that happens on the main thread once the worker runs."""

    LAST_COMMIT_S = 3.0  # how long the commit of a stop is tried again where the group refuses it

    def __init__(  # noqa: PLR0913 - it is the one place where all of these meet
        self,
        *,
        consumer: Consumer,
        in_flight: InFlight,
        stage_threads: StageThreads,
        inbox: Channel[Job],
        endings: Channel[Ending],
        metrics: Metrics,
        heartbeat: Heartbeat,
        options: LoopOptions,
        read_interval_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._consumer = consumer
        self._in_flight = in_flight
        self._tracker = in_flight.tracker
        self._stage_threads = stage_threads
        self._endings = endings
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._options = options
        clock_skew = ClockSkew()
        self._intake = Intake(
            consumer, in_flight, inbox, options.on_corrupt_record, clock_skew, read_interval_s=read_interval_s
        )
        self._commits = Commits(consumer, in_flight.tracker, self._intake.positions, metrics, options.commit_interval_s)
        self._gauges = PartitionGauges(consumer, in_flight, clock_skew, metrics)
        self._counter = EventCounter(metrics)
        self._given_up = False  # not all that was received was finished and committed when it stopped
        self.drain_ends_s: float | None = None  # when the patience of a stop is over; None before it

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Go round until asked to stop, then finish what is in hand and commit it.

        Raises StageDiedError when a stage died, StopError when Kafka or the delivery failed for good, when a record
        cannot be read, or when too much became a dead letter: what is queued is dropped then, and read again after the
        restart.
        """
        while not is_stopping() and self._in_flight.guard.verdict is None and self._intake.lost is None:
            self._turn()
        if verdict := self._in_flight.guard.verdict:
            self._tracker.start_revoking(self._tracker.partitions)
        self._drain()
        if verdict:
            raise stopped_by(verdict)
        if self._intake.lost is not None:
            raise stopped_at(self._intake.lost, finished=not self._given_up)

    def commit_age_s(self) -> float:
        """Return for how long a commit has been tried and not succeeded; 0 while there is none. For any thread."""
        return self._commits.age_s()

    @property
    def stopping(self) -> bool:
        """Whether nothing more is admitted. Any thread may ask."""
        return self._intake.closed

    def _turn(self) -> None:
        self._heartbeat.beat()
        self._stage_threads.check(ending=self.stopping)
        if self._intake.pause_or_resume():
            # A poll with every partition paused sleeps its whole time: wait for endings instead.
            self._settle(self._endings.take(self._intake.POLL_S))
        records = self._intake.poll()
        for rebalance in self._consumer.rebalances():
            self._follow(rebalance)
        for jump in self._consumer.jumps():
            self._tell(jump)
        self._intake.admit(records)
        self._settle(self._endings.take(0))
        self._commits.on_tick()
        self._gauges.on_tick()

    def _settle(self, endings: Sequence[Ending]) -> None:
        self._heartbeat.beat()  # a hand-over comes here again and again, and has a limit of its own
        again: set[Partition] = set()
        for ending in endings:
            job = ending.job
            if job.trace is not None:
                job.trace.end(job, ending.at_s, ending.error)
            ending.check()
            if self._in_flight.finish(job, committed=ending.committed):
                again.add(job.record.partition)
            self._gauges.ended(job)
            self._counter.count(job, ending.at_s)
        if again:
            self._given_up = self.stopping
            self._intake.rewind(again)

    def _follow(self, rebalance: Rebalance) -> None:
        self._metrics.partitions.rebalances.labels(rebalance.kind).inc()
        log.info(
            "partitions %(kind)s",
            {"kind": rebalance.kind},
            extra={"event": "rebalance", "partitions": _names(rebalance.partitions)},
        )
        match rebalance.kind:
            case "assigned":
                self._tracker.assign(rebalance.partitions)
                self._gauges.begin(rebalance.partitions)
            case "revoked":
                self._hand_over(rebalance)
                self._gauges.end(rebalance.partitions)
            case "lost":  # somebody else owns them already: nothing may be committed
                self._tracker.revoke(rebalance.partitions)
                self._gauges.end(rebalance.partitions)
            case _:
                assert_never(rebalance.kind)

    def _tell(self, jump: PositionJump) -> None:
        is_ahead = jump.to_offset > jump.from_offset
        self._metrics.partitions.jumps.labels("ahead" if is_ahead else "back").inc()
        facts = {
            "topic": jump.partition.topic,
            "partition": jump.partition.number,
            "from": jump.from_offset,
            "to": jump.to_offset,
        }
        meaning = "what was between them is lost" if is_ahead else "what is there may be read again"
        log.warning(
            "%(topic)s partition %(partition)d: reading should go on at offset %(from)d, which is not there, and goes "
            "on at %(to)d: %(meaning)s",
            {**facts, "meaning": meaning},
            extra={"event": "position_jumped", **facts},
        )

    def _hand_over(self, rebalance: Rebalance) -> None:
        """Drop what is queued of these partitions, wait for what is in hand, let the listener commit the prefix."""
        self._tracker.start_revoking(rebalance.partitions)
        give_up_s = time.monotonic() + self._options.hand_over_timeout_s
        while self._tracker.open_count(rebalance.partitions) and time.monotonic() < give_up_s:
            self._stage_threads.check(ending=self.stopping)
            self._settle(self._endings.take(0.01))
        self._commits.release(rebalance)

    def _drain(self) -> None:
        self._intake.close()
        give_up_s = self.drain_ends_s = time.monotonic() + self._options.drain_timeout_s
        in_hand = self._tracker.open_count(self._tracker.partitions)
        log.info("stopping", extra={"event": "stopping", "in_hand": in_hand})
        while (left := self._tracker.open_count(self._tracker.partitions)) and time.monotonic() < give_up_s:
            self._turn()
        if left:
            log.warning(
                "the drain time is over; what is left will be read again",
                extra={"event": "drain_timed_out", "left": left},
            )
        give_up_s = time.monotonic() + self.LAST_COMMIT_S
        while not (committed := self._commits.commit()) and time.monotonic() < give_up_s:
            self._turn()  # a rebalance is under way: the group takes commits again when it is through
        self._given_up = self._given_up or left > 0 or not committed
        self._tracker.revoke(self._tracker.partitions)  # what is still inside is not published any more


def _names(partitions: frozenset[Partition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.number}" for partition in partitions)

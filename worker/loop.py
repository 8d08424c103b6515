"""The main loop: it owns the consumer and every offset, admits records, settles endings and commits."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, assert_never

from annotated_types import Gt
from typing_extensions import Doc

from worker.corrupt_records import OnCorruptRecord, is_passed, stopped_at
from worker.exits import Exit, StopError
from worker.gauges import Gauges
from worker.jobs import Job, Partition, Record
from worker.kafka_io import CommitRefused
from worker.metrics import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.channel import Channel
    from worker.dead_letter_limits import DeadLetterGuard
    from worker.delivery import Ending
    from worker.door import Door
    from worker.kafka_io import Consumer, Rebalance
    from worker.ledger import Ledger
    from worker.metrics import Metrics
    from worker.ordering import Predecessors
    from worker.pipeline import Pipeline, Pulse

log = logging.getLogger(__name__)

_ADVICE = (
    "nothing is committed that was not published, the rest is read again; see `rerank-worker dead-letters`, mend the "
    "cause, restart the worker, then `rerank-worker replay`"
)


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

    POLL_S = 0.05  # how long a signal or a revocation may wait for the loop
    REPORT_S = 1.0  # how often the gauges are brought up to date
    RETRY_COMMIT_S = 1.0  # how soon a commit that was refused is tried again, if not sooner
    LAST_COMMIT_S = 3.0  # how long the commit of a stop is tried again where the group refuses it

    def __init__(  # noqa: PLR0913 - it is the one place where all of these meet
        self,
        *,
        consumer: Consumer,
        ledger: Ledger,
        predecessors: Predecessors,
        door: Door,
        guard: DeadLetterGuard,
        pipeline: Pipeline,
        inbox: Channel[Job],
        endings: Channel[Ending],
        metrics: Metrics,
        pulse: Pulse,
        options: LoopOptions,
        max_poll_records: int,
    ) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._predecessors = predecessors
        self._door = door
        self._guard = guard
        self._pipeline = pipeline
        self._inbox = inbox
        self._endings = endings
        self._metrics = metrics
        self._gauges = Gauges(consumer, ledger, door, metrics)
        self._stage_durations = {stage: metrics.stage_duration.labels(stage) for stage in STAGES}
        self._pulse = pulse
        self._options = options
        self._max_poll_records = max_poll_records
        self._rewound: set[Partition] = set()  # read again since the last poll
        self._admitting = True
        self.drain_ends_s: float | None = None  # when the patience of a stop is over; None before it
        self._lost: Record | None = None  # what cannot be read, and is not passed over
        self._given_up = False  # not all that was received was finished and committed when it stopped
        self._poll_due_s = 0.0
        self._committing_since_s: float | None = None
        self._commit_due_s = 0.0
        self._report_due_s = 0.0

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Go round until asked to stop, then finish what is in hand and commit it.

        Raises StageDiedError when a stage died, StopError when Kafka or the delivery failed for good, when a record
        cannot be read, or when too much became a dead letter: what is queued is dropped then, and read again after the
        restart.
        """
        while not is_stopping() and self._guard.verdict is None and self._lost is None:
            self._turn()
        if verdict := self._guard.verdict:
            self._ledger.retire(self._ledger.partitions)
        self._drain()
        if verdict:
            raise StopError(Exit.DEAD_LETTERS, f"{verdict}; {_ADVICE}")
        if self._lost is not None:
            raise stopped_at(self._lost, finished=not self._given_up)

    def commit_age_s(self) -> float:
        """Return for how long a commit has been tried and not succeeded; 0 while there is none. For any thread."""
        since_s = self._committing_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def stopping(self) -> bool:
        """Whether nothing more is admitted. Any thread may ask."""
        return not self._admitting

    def _turn(self) -> None:
        self._pulse.beat()
        self._pipeline.check(ending=not self._admitting)
        records = self._poll()
        for rebalance in self._consumer.rebalances():
            self._rebalance(rebalance)
        if self._admitting:
            self._admit(records)
        self._settle(self._endings.take(0))
        now_s = time.monotonic()
        if now_s >= self._commit_due_s:
            again_s = self._options.commit_interval_s
            self._commit_due_s = now_s + (again_s if self._commit() else min(again_s, self.RETRY_COMMIT_S))
        if now_s >= self._report_due_s:
            self._report_due_s = now_s + self.REPORT_S
            self._gauges.update()

    def _poll(self) -> list[Record]:
        if self._door.is_paused() or not self._admitting:
            self._consumer.pause_all()
            # A poll with every partition paused sleeps its whole time: wait for endings instead, poll to stay a member.
            # It also costs as much as settling ten events, so not after each of them.
            self._settle(self._endings.take(self.POLL_S))
            now_s = time.monotonic()
            if now_s < self._poll_due_s:
                return []
            self._poll_due_s = now_s + self.POLL_S
            self._rewound.clear()
            return self._consumer.poll(0, self._max_poll_records)
        self._consumer.resume_all()
        self._rewound.clear()
        return self._consumer.poll(self.POLL_S, self._max_poll_records)

    def _admit(self, records: Sequence[Record]) -> None:
        now_s = time.monotonic()
        clock_offset_s = time.time() - now_s  # the wall clock is read once for a record, so that it may jump later
        for record in records:
            if record.partition in self._rewound:
                continue  # it comes again, behind those before it
            if not is_passed(record, self._options.on_corrupt_record) and record.partition in self._ledger.partitions:
                self._lost = record
                return  # nothing behind it may be committed
            created_s = now_s
            if record.timestamp_ms > 0:
                # A producer's clock may be ahead of this one: an event is never younger than its receipt.
                created_s = min(now_s, record.timestamp_ms / 1000 - clock_offset_s)
            ticket = self._ledger.open(record.partition, record.offset, record.next_offset, created_s)
            if ticket is None:
                continue  # the partition was given up after this was fetched: its next owner reads it
            job = Job(record, ticket, received_s=now_s, created_s=created_s)
            job.charge = self._door.admit(_size_bytes(record))
            self._guard.received(ticket)
            self._predecessors.link(job)
            self._inbox.put(job)

    def _settle(self, endings: Sequence[Ending]) -> None:
        self._pulse.beat()  # a hand-over comes here again and again, and has a limit of its own
        again: set[Partition] = set()
        for job, at_s, error, committed in endings:
            if job.trace is not None:
                job.trace.end(job, at_s, error)
            if isinstance(error, StopError):
                raise error
            if error is not None:
                raise StopError(
                    Exit.DELIVERY,
                    f"could not publish the outcome of {job.record.partition.topic} partition "
                    f"{job.record.partition.number} offset {job.record.offset}: {type(error).__name__}: {error}; "
                    "it is not committed and will be read again",
                ) from error
            self._ledger.settle(job.ticket, done=not job.dropped, committed=committed)
            self._guard.ended(job.ticket, job.fault.reason if job.fault else None)
            if job.dropped and job.ticket.wanted:  # its transaction was given up, and the partition is still ours
                again.add(job.record.partition)
            self._door.release(job.charge, _size_bytes(job.record), len(job.pairs.ids) if job.pairs else 0)
            self._predecessors.forget(job)
            self._gauges.ended(job)
            self._count(job, at_s)
        if again:
            self._rewound |= again
            self._given_up = not self._admitting
            self._consumer.rewind(self._ledger.restart(again))

    def _count(self, job: Job, at_s: float) -> None:
        metrics = self._metrics
        if job.dropped:
            metrics.dropped.inc()
            return
        if job.fault is not None:
            metrics.dead_letters.labels(job.fault.reason).inc()
        elif job.outcome is not None:
            metrics.events.labels(*job.outcome).inc()
            metrics.deadlines.labels("true" if at_s <= job.deadline_s else "false").inc()
            job.spent_s["publish"] = at_s - (job.scored_s or job.tokenized_s)  # not all need to be scored
        metrics.event_latency.observe(at_s - job.created_s)
        for stage, spent_s in job.spent_s.items():
            self._stage_durations[stage].observe(spent_s)

    def _rebalance(self, rebalance: Rebalance) -> None:
        self._metrics.rebalances.labels(rebalance.kind).inc()
        log.info(
            "partitions %(kind)s",
            {"kind": rebalance.kind},
            extra={"event": "rebalance", "partitions": _names(rebalance.partitions)},
        )
        match rebalance.kind:
            case "assigned":
                self._ledger.assign(rebalance.partitions)
                self._gauges.begin(rebalance.partitions)
            case "revoked":
                self._hand_over(rebalance)
                self._gauges.end(rebalance.partitions)
            case "lost":  # somebody else owns them already: nothing may be committed
                self._ledger.forget(rebalance.partitions)
                self._gauges.end(rebalance.partitions)
            case _:
                assert_never(rebalance.kind)

    def _hand_over(self, rebalance: Rebalance) -> None:
        """Drop what is queued of these partitions, wait for what is in hand, let the listener commit the prefix."""
        partitions = rebalance.partitions
        self._ledger.retire(partitions)
        give_up_s = time.monotonic() + self._options.hand_over_timeout_s
        while self._ledger.open_count(partitions) and time.monotonic() < give_up_s:
            self._pipeline.check(ending=not self._admitting)
            self._settle(self._endings.take(0.01))
        offsets = self._ledger.committable(partitions)
        self._ledger.forget(partitions)
        accepted = rebalance.release(offsets)
        if offsets:
            self._metrics.commits.labels("ok" if accepted else "refused").inc()
            self._committing_since_s = None if accepted else self._committing_since_s

    def _commit(self) -> bool:
        """Commit what is done; return whether nothing is left to commit."""
        if self._admitting and self._lost is None:  # else records that were received were not taken
            places = self._consumer.places()
            self._ledger.advance({name: at.position for name, at in places.items() if at.position is not None})
        offsets = self._ledger.committable()
        if not offsets:
            self._committing_since_s = None
            return True
        self._committing_since_s = self._committing_since_s or time.monotonic()
        try:
            self._consumer.commit(offsets)
        except CommitRefused as error:
            # The group moved on without this member; the next poll says which partitions are lost.
            log.warning("commit refused: %(error)s", {"error": error}, extra={"event": "commit_refused"})
            self._metrics.commits.labels("refused").inc()
            return False
        self._committing_since_s = None
        self._ledger.committed(offsets)
        self._metrics.commits.labels("ok").inc()
        return True

    def _drain(self) -> None:
        self._admitting = False
        self._inbox.close()
        give_up_s = self.drain_ends_s = time.monotonic() + self._options.drain_timeout_s
        in_hand = self._ledger.open_count(self._ledger.partitions)
        log.info("stopping", extra={"event": "stopping", "in_hand": in_hand})
        while (left := self._ledger.open_count(self._ledger.partitions)) and time.monotonic() < give_up_s:
            self._turn()
        if left:
            log.warning(
                "the drain time is over; what is left will be read again",
                extra={"event": "drain_timed_out", "left": left},
            )
        give_up_s = time.monotonic() + self.LAST_COMMIT_S
        while not (committed := self._commit()) and time.monotonic() < give_up_s:
            self._turn()  # a rebalance is under way: the group takes commits again when it is through
        self._given_up = self._given_up or left > 0 or not committed
        self._ledger.forget(self._ledger.partitions)  # what is still inside is not published any more


def _size_bytes(record: Record) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers


def _names(partitions: frozenset[Partition]) -> list[str]:
    return sorted(f"{partition.topic}-{partition.number}" for partition in partitions)

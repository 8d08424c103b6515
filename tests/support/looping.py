"""A main loop on a consumer that a test directs; everything else in it is real."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.making import PARTITION
from worker.admission.dead_letter_guard import DeadLetterGuard, DeadLetterLimits
from worker.admission.in_flight import InFlight
from worker.admission.in_flight_limit import InFlightLimit, InFlightOptions
from worker.admission.key_order import PrecedenceLinks, by_key
from worker.dead_letters import REASONS
from worker.delivery import Ending
from worker.flow.channel import Channel
from worker.flow.stage_threads import Heartbeat, Stage, StageThreads
from worker.kafka_io import CommitRefused, Rebalance
from worker.main_loop.loop import LoopOptions, MainLoop
from worker.observe.metrics import Metrics
from worker.offsets.tracker import OffsetTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from worker.flow.job import Job
    from worker.kafka_io import PositionJump
    from worker.kafka_io.rebalance import Kind, Offsets
    from worker.offsets.lag import Watermark
    from worker.records import Partition, Record

LONG_S = 60.0
AT_ONCE_S = EVERY_TURN_S = 1e-9
NEVER_S = 3600.0


@dataclass
class Answer:
    """The answer to a commit: what the consumer of a test says when it is asked, once it is `answered`."""

    consumer: Consumer
    offsets: Offsets
    answered: bool

    def check(self) -> None:
        self.consumer.commit(self.offsets)


class Consumer:
    """Gives what a test put there and notes what it was told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.happened: list[Rebalance] = []
        self.commits: list[Offsets] = []
        self.released: list[Offsets] = []
        self.rewound: list[Offsets] = []
        self.refusals = 0
        self.jumped: list[PositionJump] = []
        self.is_silent = False  # commits are not answered
        self.begun: list[Answer] = []
        self.paused = False
        self.waits_s: list[float] = []  # of the polls, how long each may take
        self.places_known: dict[Partition, Watermark] = {}
        self.readable_since: dict[int, float] = {}  # by offset

    def tell(self, kind: Kind, *partitions: Partition) -> None:
        self.happened.append(Rebalance(kind, frozenset(partitions or (PARTITION,)), self._release))

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        self.waits_s.append(timeout_s)
        if self.paused:
            return []
        records, self.records = self.records[:max_records], self.records[max_records:]
        return records

    def rebalances(self) -> list[Rebalance]:
        happened, self.happened = self.happened, []
        return happened

    def jumps(self) -> list[PositionJump]:
        jumped, self.jumped = self.jumped, []
        return jumped

    def pause_all(self) -> None:
        self.paused = True

    def resume_all(self) -> None:
        self.paused = False

    def rewind(self, offsets: Offsets) -> None:
        self.rewound.append(offsets)

    def commit(self, offsets: Offsets) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CommitRefused("the group is rebalancing")
        self.commits.append(offsets)

    def begin_commit(self, offsets: Offsets) -> Answer:
        assert not self.begun or self.begun[-1].answered, "a commit is on its way already"
        self.begun.append(Answer(self, offsets, answered=not self.is_silent))
        return self.begun[-1]

    def places(self) -> dict[Partition, Watermark]:
        return self.places_known

    def readable_since_s(self, record: Record) -> float | None:
        return self.readable_since.get(record.offset)

    def _release(self, offsets: Offsets) -> bool:
        self.released.append(offsets)
        return True


class WatchedTracker(OffsetTracker):
    """Says when partitions begin to be given up, so that a stage of a test can wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.retiring = threading.Event()

    def start_revoking(self, partitions: Iterable[Partition]) -> None:
        super().start_revoking(partitions)
        self.retiring.set()


@dataclass
class Bench:
    """The loop, and what it is connected to."""

    loop: MainLoop
    consumer: Consumer
    tracker: WatchedTracker
    limit: InFlightLimit
    inbox: Channel[Job]
    endings: Channel[Ending]
    metrics: Metrics
    stage_threads: StageThreads

    def turn(self) -> None:
        self.loop._turn()

    def take(self, *records: Record) -> list[Job]:
        """Have the partition assigned, if it is not, and the records received."""
        if PARTITION not in self.tracker.partitions:
            self.consumer.tell("assigned")
        self.consumer.records += records
        self.turn()
        return self.inbox.take(0)

    def end(self, *jobs: Job) -> None:
        for job in jobs:
            self.endings.put(Ending(job, time.monotonic()))

    def settle(self, job: Job) -> None:
        self.end(job)
        self.turn()

    def make_commit_due(self) -> None:
        self.loop._commits._due_s = 0.0

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"rerank_{name}", labels)


def bench(
    *stages: Callable[[Bench], None],
    limit: int = 1_000_000,
    dead_letters: DeadLetterLimits | None = None,
    ordering_key: Callable[[Record], Hashable | None] = by_key,
    read_interval_s: Callable[[], float] = lambda: 0.0,
    **options: Any,
) -> Bench:
    """Make a loop that commits in every turn, unless told otherwise; each stage is given the bench."""
    tracker, metrics = WatchedTracker(), Metrics(REASONS)
    in_flight = InFlightLimit(InFlightOptions(max_in_flight_tokens=limit))
    guard = DeadLetterGuard(dead_letters or DeadLetterLimits())
    inbox: Channel[Job] = Channel()
    endings: Channel[Ending] = Channel()
    made: Bench
    stage_threads = StageThreads([Stage(f"stage {at}", lambda body=body: body(made)) for at, body in enumerate(stages)])  # type: ignore[misc]
    consumer: Any = Consumer()
    given: dict[str, Any] = {
        "commit_interval_s": EVERY_TURN_S,
        "drain_timeout_s": LONG_S,
        "hand_over_timeout_s": LONG_S,
        **options,
    }
    loop = MainLoop(
        consumer=consumer,
        in_flight=InFlight(tracker, in_flight, guard, PrecedenceLinks(ordering_key)),
        stage_threads=stage_threads,
        inbox=inbox,
        endings=endings,
        metrics=metrics,
        heartbeat=Heartbeat(),
        options=LoopOptions(**given),
        read_interval_s=read_interval_s,
    )
    made = Bench(loop, consumer, tracker, in_flight, inbox, endings, metrics, stage_threads)
    return made

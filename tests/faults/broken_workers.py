"""Workers with a defect that breaks an invariant, to show that the suite as a whole sees it, not its checker alone."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.integration.light_worker import Forward
from worker.delivery import AtLeastOnce
from worker.kafka_io import TransactionalProducer
from worker.offsets.tracker import OffsetTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.model.rows import RaggedBatch
    from worker.offsets.tracker import TrackedOffset
    from worker.records import Partition

VARIABLE = "FAULTS_DEFECT"


def _commits_what_it_received() -> None:
    opened, received = OffsetTracker.track, dict[Any, int]()

    def noting_open(tracker: OffsetTracker, partition: Partition, offset: int, *given: Any) -> TrackedOffset | None:
        received[partition] = offset + 1
        return opened(tracker, partition, offset, *given)

    def committable(tracker: OffsetTracker, partitions: Iterable[Partition] | None = None) -> dict[Partition, int]:
        del partitions
        return {each: received[each] for each in tracker.partitions if each in received}

    OffsetTracker.track = noting_open  # type: ignore[assignment, method-assign]
    OffsetTracker.committable = committable  # type: ignore[assignment, method-assign]


def _keeps_what_it_gave_up() -> None:
    committable, kept = OffsetTracker.committable, dict[Any, int]()

    def keeping(tracker: OffsetTracker, partitions: Iterable[Partition] | None = None) -> dict[Partition, int]:
        kept.update(committable(tracker, partitions))
        return dict(kept)

    OffsetTracker.committable = keeping  # type: ignore[assignment, method-assign]


def _sends_twice() -> None:
    send = TransactionalProducer.send

    def sending_twice(producer: TransactionalProducer, *outgoing: Any) -> None:
        send(producer, *outgoing)
        send(producer, *outgoing)

    TransactionalProducer.send = sending_twice  # type: ignore[assignment, method-assign]


def _scores_by_chance() -> None:
    def forward(_: Forward, __: RaggedBatch, chosen: np.ndarray) -> np.ndarray:
        return np.array([random.random() for _ in chosen], np.float32)

    Forward.forward = forward  # type: ignore[assignment, method-assign]


def _swaps_two_results() -> None:
    send, held = AtLeastOnce.send, list[tuple[Any, ...]]()

    def swapping(delivery: AtLeastOnce, *given: Any) -> None:
        held.append((delivery, *given))
        if len(held) > 30:  # some key is among them twice
            for each in reversed(held):
                send(*each)
            held.clear()

    AtLeastOnce.send = swapping  # type: ignore[assignment, method-assign]


def _loses_results() -> None:
    send = AtLeastOnce.send

    def losing(delivery: AtLeastOnce, job: Any, outgoing: Any) -> None:
        if job.record.offset % 10 == 0:
            delivery.drop(job)
            job.dropped = False  # and so it counts as done
        else:
            send(delivery, job, outgoing)

    AtLeastOnce.send = losing  # type: ignore[assignment, method-assign]


DEFECTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "commits what it received": _commits_what_it_received,
    "keeps what it gave up": _keeps_what_it_gave_up,
    "sends twice": _sends_twice,
    "scores by chance": _scores_by_chance,
    "swaps results": _swaps_two_results,
    "loses results": _loses_results,
}


def break_as_told() -> None:
    """Give this process the defect that its environment names, if any."""
    if name := os.environ.get(VARIABLE):
        DEFECTS[name]()

"""Named points in the life of an event, at one of which a worker under test does something to itself: dies, or stalls.

Nothing of this is in the worker: its methods are wrapped here, as the variables of a Plan say.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kafka.net.connection import KafkaConnection

from tests.faults.journal import notes
from tests.integration.light_worker import Forward
from worker.delivery import AtLeastOnce, ExactlyOnce
from worker.kafka_io import Consumer, TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.journal import Journal

_VARIABLE = "FAULTS_PLAN"
_IN_FLIGHT_S = 0.003  # about what a broker takes to answer

# The methods before or after which a point lies; those of both deliveries, of which a worker has one.
BEFORE: dict[str, list[tuple[type, str]]] = {
    "before the publish": [(AtLeastOnce, "send"), (ExactlyOnce, "send")],
    "between publish and commit": [(Consumer, "begin_commit"), (Consumer, "commit"), (TransactionalProducer, "commit")],
    "in the model": [(Forward, "forward")],
    "in the main loop": [(Consumer, "poll")],
}
AFTER: dict[str, list[tuple[type, str]]] = {"inside a transaction": [(TransactionalProducer, "send")]}
INSIDE_THE_COMMIT = "inside the commit"
_COMMITS = ("OffsetCommitRequest", "EndTxnRequest")


class Plan(NamedTuple):
    """What happens at a point: at its `passes`-th pass, in the first `times` processes of one place.

    `stall_s` is how long the thread then stands still; None: the process dies, by SIGKILL.
    """

    point: str
    passes: int = 20
    times: int = 1
    stall_s: float | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables that tell it to a worker."""
        stall = "" if self.stall_s is None else str(self.stall_s)
        return {_VARIABLE: f"{self.point}|{self.passes}|{self.times}|{stall}"}

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self | None:
        """Return what the variables say, if anything."""
        if _VARIABLE not in environment:
            return None
        point, passes, times, stall = environment[_VARIABLE].split("|")
        return cls(point, int(passes), int(times), float(stall) if stall else None)

    def reached(self, journal: Path) -> list[int]:
        """Return when it has happened, in milliseconds."""
        return [note["at_ms"] for note in notes(journal) if note["what"] == self.point]


def arm(plan: Plan, journal: Journal, path: Path) -> None:
    """Have it happen in this process, unless it has happened often enough before."""
    if len(plan.reached(path)) >= plan.times:
        return
    passes = itertools.count(1)

    def act() -> None:
        if next(passes) == plan.passes:
            journal.note(plan.point)
            if plan.stall_s is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                time.sleep(plan.stall_s)

    if plan.point == INSIDE_THE_COMMIT:
        _arm_commits(act)
        return
    for owner, method in BEFORE.get(plan.point, []):
        _wrap(owner, method, before=act)
    for owner, method in AFTER.get(plan.point, []):
        _wrap(owner, method, after=act)


def _wrap(
    owner: type, method: str, *, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> None:
    original = getattr(owner, method)

    def wrapped(*given: Any, **options: Any) -> Any:
        before()
        result = original(*given, **options)
        after()
        return result

    setattr(owner, method, wrapped)


def _arm_commits(act: Callable[[], None]) -> None:
    """Act while a commit is with the broker, or when its answer has come and the client has not seen it."""
    send = KafkaConnection._send_request

    def wrapped(connection: Any, request: Any, *given: Any, **options: Any) -> Any:
        future = send(connection, request, *given, **options)
        if type(request).__name__ in _COMMITS:
            if random.random() < 0.5:
                future.add_callback(lambda _: act())
            else:
                threading.Timer(random.uniform(0, _IN_FLIGHT_S), act).start()
        return future

    KafkaConnection._send_request = wrapped

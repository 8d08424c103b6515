"""What shares the next batch: events by priority and deadline, as many as the earliest deadline among them allows."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, assert_never

import numpy as np
from annotated_types import Ge, Gt
from typing_extensions import Doc

from worker.batch import Batch, OnOverload, Waiting
from worker.queues import Queues, turns

if TYPE_CHECKING:
    from worker.costs import CostModel, Load
    from worker.jobs import Job, Slice

# Why a batch was not larger: the values of a metric label.
DISPATCH_REASONS = ("drained", "full", "deadline")

# Why not every candidate of an event was scored.
NO_TIME = "no_time"

# While everything is let go nothing is measured, and a device that is fast again would never be seen. So a few pairs
# are scored for the time that they take alone, so often; the cost model follows within five of them.
_PROBE_EVERY_S = 0.25
_PROBE_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What a batch may hold, and what becomes of an event that cannot be scored in time."""

    batch_tokens: Annotated[
        int | None,
        Gt(0),
        Doc("Token budget of a batch; larger events are split. If not given, 4,096 on a CPU and 32,768 on CUDA."),
    ] = None
    schedule: Annotated[
        Literal["edf", "fifo"],
        Doc("edf: by priority and deadline, what cannot be in time degraded; fifo: in order of arrival, however late."),
    ] = "edf"
    on_overload: Annotated[
        OnOverload,
        Doc(
            "An event that cannot be scored in time: partial scores its first candidates, as many as fit; passthrough "
            "returns the list as it came; score scores all of it, late."
        ),
    ] = "partial"
    publish_margin_ms: Annotated[
        float, Ge(0), Doc("Time that is kept free before an event's deadline, for ranking and publishing it.")
    ] = 5.0


def token_budget(limits: BatchLimits, device: str) -> int:
    """Return the token budget of a batch on a device.

    On a CPU a batch is a queue of small forward passes, so a larger one is no faster and only makes its events wait for
    each other; a GPU needs much work at once.
    """
    return limits.batch_tokens or (4_096 if device == "cpu" else 32_768)


def degrades(limits: BatchLimits) -> bool:
    """Return whether an event that cannot be in time is not scored, or not as a whole."""
    return limits.schedule == "edf" and limits.on_overload != "score"


class Dispatch(NamedTuple):
    """The next batch, why it was not larger, the events of which nothing more will be scored, and the batch's load.

    `probe`, in place of a batch, are pairs to be scored for the time that they take alone: the device would stand idle,
    and what it can do is known from too long ago. Their event is among the `passed` ones.
    """

    batch: list[Slice]
    reason: str
    passed: list[Job]
    load: Load
    probe: Slice | None = None


class Scheduler:
    """Waiting events, the earliest deadline first; where not all can be met, the highest priority before that.

    Pure: no thread, no clock; `now_s` is when the device can begin. By the cost model a batch takes no longer than the
    earliest deadline in it allows, and an event that could not be scored in time even alone is degraded when its turn
    comes, so that it takes no more time away from the others.
    """

    def __init__(self, limits: BatchLimits, budget_tokens: int, costs: CostModel) -> None:
        self._budget = budget_tokens
        self._in_order_of_arrival = limits.schedule == "fifo"
        self._policy = limits.on_overload
        self._margin_s = limits.publish_margin_ms / 1000
        self._costs = costs
        self._queues = Queues()
        self._arrivals = itertools.count()
        self._launched_s = -math.inf  # when something last went to the device

    def __len__(self) -> int:
        """Return how many events wait, the one that is taken in part included."""
        return len(self._queues)

    def add(self, job: Job, publishing_s: float = 0.0) -> None:
        """Take in an event that is tokenized; publishing it is expected to take so many seconds."""
        assert job.request is not None
        assert job.pairs is not None
        tokens = job.pairs.offsets
        squares = np.zeros_like(tokens)
        np.cumsum((tokens[1:] - tokens[:-1]) ** 2, out=squares[1:])
        due_s, priority = job.deadline_s - self._margin_s - publishing_s, job.request.priority
        if self._in_order_of_arrival:
            due_s, priority = math.inf, 0
        self._queues.put(priority, Waiting(due_s, next(self._arrivals), 0, job, due_s, tokens, squares))
        self._queues.hurry(job.after, due_s, priority)

    def sweep(self) -> list[Job]:
        """Take out the events whose partition is being given up."""
        return self._queues.sweep()

    def next_batch(self, now_s: float) -> Dispatch:
        """Take the next batch, of at most the token budget unless a single pair is larger."""
        build = Batch(now_s, self._budget, self._costs.terms())
        queues = self._queues.by_priority()
        calm = sum(map(bool, queues)) > 1 and build.is_calm(itertools.chain(*queues), self._policy)
        passed: list[Job] = []
        reason = "drained"
        for queue in turns(queues, calm=calm):
            head = queue[0]
            fits = build.fits(head)
            if self._is_hopeless(head, fits):
                self._queues.pop(queue)
                head.job.shed_to(head.start, NO_TIME)
                passed.append(head.job)
            elif reason == "drained":
                reason = self._take(queue, head, fits, build)
            else:
                queues[:] = [each for each in queues if each is not queue]  # what follows its head has more time
        probe = None
        if build.slices or (passed and now_s >= self._launched_s + _PROBE_EVERY_S):
            self._launched_s = now_s
            probe = None if build.slices else build.probe(passed[-1], _PROBE_TOKENS)
        return Dispatch(build.slices, reason, passed, build.taken, probe)

    def _is_hopeless(self, head: Waiting, fits: int) -> bool:
        match self._policy:
            case "score":
                return False
            case "partial":
                return fits <= head.start
            case "passthrough":
                return fits < head.job.limit
            case _:
                assert_never(self._policy)

    def _take(self, queue: list[Waiting], head: Waiting, fits: int, build: Batch) -> str:
        """Take as much of the head as goes into the batch; return what that means for the next one."""
        job = head.job
        in_time = fits >= job.limit
        limit = job.limit if in_time or self._policy == "score" else fits
        stop = min(limit, build.room(head))
        if stop <= head.start:
            return "full"
        # What is late in any case must not keep the others from sharing its batch.
        if not build.add(head, stop, math.inf if self._policy == "score" and not in_time else head.due_s):
            return "deadline"
        if limit < job.limit:
            job.shed_to(limit, NO_TIME)
        if stop < limit:
            heapq.heapreplace(queue, head._replace(start=stop))
            return "full"
        self._queues.pop(queue)
        return "drained"

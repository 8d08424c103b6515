"""What shares the next batch: events by priority and deadline, as many as the earliest deadline among them allows."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, assert_never

import numpy as np
from annotated_types import Ge, Gt
from typing_extensions import Doc

from worker.costs import Load
from worker.jobs import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.costs import CostModel
    from worker.jobs import Job

OnOverload = Literal["partial", "passthrough", "score"]

# Why a batch was not larger: the values of a metric label.
DISPATCH_REASONS = ("drained", "full", "deadline")

# Why not every candidate of an event was scored.
NO_TIME = "no_time"


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


class Dispatch(NamedTuple):
    """The next batch, why it was not larger, the events of which nothing more will be scored, and the batch's load."""

    batch: list[Slice]
    reason: str
    passed: list[Job]
    load: Load


class _Waiting(NamedTuple):
    """An event in the queue, ordered by when it is due."""

    due_s: float  # when its scores must be there
    arrival: int
    start: int  # the first pair still to be taken
    job: Job
    tokens: np.ndarray  # (n + 1,) tokens of the first i pairs
    squares: np.ndarray  # (n + 1,) squared lengths of the first i pairs


class Scheduler:
    """Waiting events, the earliest deadline first; where not all can be met, the highest priority before that.

    Pure: no thread, no clock; `now_s` is when the device can begin. By the cost model a batch takes no longer than the
    earliest deadline in it allows, and an event that could not be scored in time even alone is degraded when that is
    seen, so that it takes no more time away from the others.
    """

    def __init__(self, limits: BatchLimits, budget_tokens: int, costs: CostModel) -> None:
        self._budget = budget_tokens
        self._in_order_of_arrival = limits.schedule == "fifo"
        self._policy = limits.on_overload
        self._margin_s = limits.publish_margin_ms / 1000
        self._costs = costs
        self._queues: dict[int, list[_Waiting]] = {}  # by priority, each a heap
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        """Return how many events wait, the one that is taken in part included."""
        return sum(map(len, self._queues.values()))

    def add(self, job: Job) -> None:
        """Take in an event that is tokenized."""
        assert job.request is not None
        assert job.pairs is not None
        tokens = job.pairs.offsets
        squares = np.zeros_like(tokens)
        np.cumsum((tokens[1:] - tokens[:-1]) ** 2, out=squares[1:])
        due_s, priority = job.deadline_s - self._margin_s, job.request.priority
        if self._in_order_of_arrival:
            due_s, priority = math.inf, 0
        queue = self._queues.setdefault(priority, [])
        heapq.heappush(queue, _Waiting(due_s, next(self._arrivals), 0, job, tokens, squares))

    def sweep(self) -> list[Job]:
        """Take out the events whose partition is being given up."""
        stale: list[Job] = []
        for queue in self._queues.values():
            unwanted = [waiting.job for waiting in queue if not waiting.job.ticket.wanted]
            if unwanted:
                stale += unwanted
                queue[:] = [waiting for waiting in queue if waiting.job.ticket.wanted]
                heapq.heapify(queue)
        return stale

    def next_batch(self, now_s: float) -> Dispatch:
        """Take the next batch, of at most the token budget unless a single pair is larger."""
        build = _Build(now_s, self._budget, self._costs.terms())
        queues = [self._queues[priority] for priority in sorted(self._queues, reverse=True)]
        calm = sum(map(bool, queues)) > 1 and build.is_feasible([each for queue in queues for each in queue])
        passed: list[Job] = []
        reason = "drained"
        for queue in self._turns(queues, calm=calm):
            head = queue[0]
            fits = build.fits(head)
            if self._is_hopeless(head, fits):
                heapq.heappop(queue)
                head.job.shed_to(head.start, NO_TIME)
                passed.append(head.job)
            elif reason == "drained":
                reason = self._take(queue, head, fits, build)
            else:
                queues[:] = [each for each in queues if each is not queue]  # what follows its head has more time
        return Dispatch(build.slices, reason, passed, build.taken)

    @staticmethod
    def _turns(queues: list[list[_Waiting]], *, calm: bool) -> Iterator[list[_Waiting]]:
        """Yield the queue whose head is next, while there is one.

        While all that waits can be in time the earliest deadline goes first, whatever its priority; where not all can,
        the higher priority does. So a low priority is not starved as long as its deadlines can be met.
        """
        while waiting := [queue for queue in queues if queue]:
            yield min(waiting, key=itemgetter(0)) if calm else waiting[0]

    def _is_hopeless(self, head: _Waiting, fits: int) -> bool:
        match self._policy:
            case "score":
                return False
            case "partial":
                return fits <= head.start
            case "passthrough":
                return fits < head.job.limit
            case _:
                assert_never(self._policy)

    def _take(self, queue: list[_Waiting], head: _Waiting, fits: int, build: _Build) -> str:
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
        heapq.heappop(queue)
        return "drained"


class _Build:
    """A batch that is being put together, and what it will take."""

    def __init__(self, now_s: float, budget: int, terms: tuple[float, float, float]) -> None:
        self.slices: list[Slice] = []
        self._now_s = now_s
        self._budget = budget
        self._fixed, self._per_token, self._per_square = terms
        self.taken = Load(0, 0)
        self._earliest_s = math.inf

    def load(self, waiting: _Waiting, start: int, stop: int) -> Load:
        """Return what the pairs `start` to `stop` of an event are to the device."""
        tokens, squares = waiting.tokens, waiting.squares
        return Load(int(tokens[stop] - tokens[start]), int(squares[stop] - squares[start]))

    def room(self, waiting: _Waiting) -> int:
        """Return up to which pair an event fits into the token budget; one pair always goes into an empty batch."""
        room = self._budget - self.taken.tokens
        stop = int(np.searchsorted(waiting.tokens, waiting.tokens[waiting.start] + room, side="right")) - 1
        return stop if self.slices else max(stop, waiting.start + 1)

    def fits(self, waiting: _Waiting) -> int:
        """Return up to which pair an event could be scored in time if it began now, alone."""
        start, limit = waiting.start, waiting.job.limit
        left_s = waiting.due_s - self._now_s
        if self._seconds(self.load(waiting, start, limit)) <= left_s:
            return limit
        tokens, squares = waiting.tokens[start : limit + 1], waiting.squares[start : limit + 1]
        seconds = self._fixed + self._per_token * (tokens - tokens[0]) + self._per_square * (squares - squares[0])
        return start + max(0, int(np.searchsorted(seconds, left_s, side="right")) - 1)

    def add(self, waiting: _Waiting, stop: int, due_s: float) -> bool:
        """Add pairs of an event, unless that would make an event in the batch late."""
        more = self.load(waiting, waiting.start, stop)
        load = Load(self.taken.tokens + more.tokens, self.taken.squares + more.squares)
        earliest_s = min(self._earliest_s, due_s)
        if self.slices and self._now_s + self._seconds(load) > earliest_s:
            return False
        self.slices.append(Slice(waiting.job, waiting.start, stop))
        self.taken, self._earliest_s = load, earliest_s
        return True

    def is_feasible(self, waiting: list[_Waiting]) -> bool:
        """Return whether every event would be in time if they were scored in the order of their deadlines."""
        loads = [self.load(each, each.start, each.job.limit) for each in sorted(waiting)]
        tokens = np.cumsum([load.tokens for load in loads])
        squares = np.cumsum([load.squares for load in loads])
        due_s = np.array(sorted(each.due_s for each in waiting))
        done_s = self._now_s + self._fixed + self._per_token * tokens + self._per_square * squares
        return bool((done_s <= due_s).all())

    def _seconds(self, load: Load) -> float:
        return self._fixed + self._per_token * load.tokens + self._per_square * load.squares

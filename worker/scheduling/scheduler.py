"""What shares the next batch, and how much of each list is scored: docs/scheduling.md explains it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.scheduling.batch import Batch, lengths_of, probe
from worker.scheduling.cost_model import Load, packed_load
from worker.scheduling.deadline_queue import DeadlineQueue, QueuedJob
from worker.scheduling.feasibility import Pace
from worker.scheduling.limits import NO_TIME
from worker.scheduling.list_work import least_pairs, loads_of, stop_at
from worker.scheduling.offered_load import OfferedLoad, ShortBudgets
from worker.scheduling.policy import OVERLOADED, Choice, Policy, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.flow.job import Job, Slice
    from worker.scheduling.cost_model import CostModel
    from worker.scheduling.limits import BatchLimits

# Why a batch was not larger: the values of a metric label.
DISPATCH_REASONS = ("drained", "full", "deadline")

# While everything is let go nothing is measured, and a device that is fast again would never be seen. So a few pairs
# are scored for the time that they take alone, so often, and more often while nothing waits for the device; the cost
# model follows within five of them.
_PROBE_EVERY_S = 0.25
_IDLE_PROBE_EVERY_S = 0.05
_PROBE_TOKENS = 256

# A batch is efficient when its work takes so many times as long as what it costs beside its work. It must not take more
# than this share of a short budget, or lists would come and be late while it is on the device; at the least it takes so
# many times as long.
_EFFICIENT, _MOST_OF_BUDGET, _LEAST_EFFICIENT = 20.0, 0.5, 5.0
_HALF = 0.5  # of a full batch is the least that is efficient: what the host does for each batch is not in the model
# Between these offered loads an efficient batch comes to be kept free in front of each deadline. Below, it would cut
# lists for the sake of work that does not come.
_LIGHT, _HEAVY = 0.9, 1.1
_MOST_KEPT = 0.5  # of a budget, for publishing: a slow broker alone makes no list hopeless
_MISSES = 8  # lists of other priorities that do not fit before the earliest deadline, until no more are tried
# In overload what comes may wait for this share of a short budget, or of so many seconds, before it is read: records
# that are read together cost the host less, and no list could have begun earlier.
_READ_INTERVAL, _LONG_BUDGET_S = 0.05, 0.6
_FORGET = 0.1  # the weight of the last batch in what lists share of their padding


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
    """Decides what is scored next. Pure: no thread, no clock; `now_s` is when the device can begin.

    While all that waits can be in time, the earliest deadline goes first. While it cannot, the policy says what is
    left out, and batches stay full. A list is let go only when not one pair more can be back in time, or when the time
    is needed for others.
    """

    def __init__(
        self,
        limits: BatchLimits,
        budget_tokens: int,
        costs: CostModel,
        load_of: Callable[[np.ndarray], Load] = packed_load,
    ) -> None:
        self._budget = budget_tokens
        self._schedule = limits.schedule
        self._policy = limits.on_overload if limits.schedule == "edf" else "score"
        self._margin_s = limits.publish_margin_ms / 1000
        self._costs = costs
        self._load_of = load_of
        self._queue = DeadlineQueue()
        self._arrivals = itertools.count()
        # For any thread: how much of a list that comes now is scored, as far as can be seen, and how far apart
        # Kafka may be read, since enough waits here.
        self.expected_share, self.read_interval_s = 1.0, 0.0
        self._offered = OfferedLoad()
        self._budgets = ShortBudgets()
        self._batch_tokens = budget_tokens
        self._launched_s = -math.inf  # when something last went to the device
        self._packing = 1.0  # computed tokens of lists that share a batch, over those of each by itself
        self._pass_tokens = budget_tokens / load_of(np.full(max(1, budget_tokens // 64), 64)).passes

    def __len__(self) -> int:
        """Return how many events wait, those that are taken in part included."""
        return len(self._queue)

    def add(self, job: Job, publishing_s: float = 0.0) -> None:
        """Take in an event that is tokenized; publishing it is expected to take so many seconds."""
        assert job.request is not None
        assert job.scoring.pairs is not None
        tokens, squares = loads_of(job, self._load_of)
        self._offered.arrived(tokens[-1], squares[-1])
        self._budgets.arrived(job.deadline_s - job.created_s)
        kept_s = min(self._margin_s + publishing_s, _MOST_KEPT * (job.deadline_s - job.created_s))
        due_s = effective_s = job.deadline_s - kept_s
        priority: float = job.request.priority
        if self._schedule != "edf":
            due_s, priority = math.inf, 0
            effective_s = next(self._arrivals) * (1 if self._schedule == "fifo" else -1)
        effective_s = min(effective_s, job.inherited_deadline_s)
        priority = max(priority, job.inherited_priority)
        scale = 1 + job.scoring.left_out / len(job.scoring.pairs)
        self._queue.put(QueuedJob(job, due_s, effective_s, priority, tokens, squares, least_pairs(job), scale))
        self._queue.inherit_deadline(job, effective_s, priority)

    def sweep(self) -> list[Job]:
        """Take out the events whose partition is being given up."""
        return self._queue.sweep()

    def next_batch(self, now_s: float) -> Dispatch:
        """Take the next batch, of at most the token budget unless a single pair is larger."""
        self._queue.sort_in()
        if not self._queue:
            self.expected_share, self.read_interval_s = 1.0, 0.0
            return Dispatch([], "drained", [], Load(0, 0))
        choice, waiting = self._choose(now_s)
        self.expected_share = choice.middle_share()
        batch, reason, taken, too_late = self._build(choice, now_s)
        load = self._load_of(lengths_of(batch.slices))
        gone = {*choice.let_go, *too_late}
        if batch.slices and choice.is_degraded:
            gone |= self._too_late_after(load, waiting, [place for place, _ in taken])
        passed = self._settle(taken, sorted(gone))
        if batch.slices:
            self._launched_s = now_s
            self._packing += _FORGET * (load.tokens / batch.apart_tokens - self._packing)
            return Dispatch(batch.slices, reason, passed, load)
        return self._probed(passed, now_s)

    def _choose(self, now_s: float) -> tuple[Choice, Waiting]:
        column, expected, safe = self._queue.column, self._costs.expected(), self._costs.safe()
        mean = column("squares").sum() / max(1.0, column("tokens").sum())
        full_s = expected.per_token * self._budget + expected.per_square * self._budget * mean
        fixed_s, passes = expected.per_pass, self._budget / self._pass_tokens
        slowed = self._packing * (1 + fixed_s * passes / full_s if full_s else 1.0)
        whole_s, done_s, least_s = (
            slowed * (expected.per_token * column(f"{part}tokens") + expected.per_square * column(f"{part}squares"))
            for part in ("", "done_", "least_")
        )
        needed_s = (
            safe.per_pass
            + safe.per_token * (column("next_tokens") - column("done_tokens"))
            + safe.per_square * (column("next_squares") - column("done_squares"))
        )
        if self._policy == "passthrough":
            needed_s = np.maximum(needed_s, fixed_s + whole_s - done_s)
        slack_s = column("due_s") - now_s
        waiting = Waiting(slack_s, whole_s, done_s, least_s, needed_s, column("priority"))
        offered = self._offered.measure(
            now_s, slowed * expected.per_token, slowed * expected.per_square, float(slack_s.max())
        )
        longest_s = math.inf
        if self._policy != "score":
            longest_s = max(_LEAST_EFFICIENT * fixed_s, _MOST_OF_BUDGET * self._budgets.low_s)
        self.read_interval_s = (
            _READ_INTERVAL * min(self._budgets.low_s, _LONG_BUDGET_S) if offered > OVERLOADED else 0.0
        )
        efficient_s = min(full_s, max(_EFFICIENT * fixed_s, _HALF * full_s), longest_s) if fixed_s else 0.0
        caution = self._costs.caution
        self._batch_tokens = max(1, int(self._budget * min(1.0, longest_s / full_s))) if full_s else self._budget
        kept = min(1.0, max(0.0, (offered - _LIGHT) / (_HEAVY - _LIGHT)))
        policy = Policy(
            self._policy, Pace(fixed_s, efficient_s, kept * caution * efficient_s, caution), offered, self._costs.spread
        )
        return policy.choose(waiting), waiting

    def _build(self, choice: Choice, now_s: float) -> tuple[Batch, str, list[tuple[int, int]], list[int]]:
        """Put lists into a batch while there is room.

        Return it, why it is not larger, the places of its lists with their stops, and the places that have no time.
        """
        # A list by itself is looked at again when a part of it is back; one that shares its batch may be late with all.
        terms = self._costs.safe() if len(self._queue) == 1 else self._costs.sure()
        batch = Batch(now_s, self._batch_tokens, terms, self._pass_tokens, self._packing)
        taken: list[tuple[int, int]] = []
        too_late: list[int] = []
        missed = 0
        shares = itertools.repeat(1.0) if choice.shares is None else choice.shares
        for place, share in zip(map(int, choice.take), shares, strict=False):  # lazily: it is left after a few
            queued = self._queue.waiting[place]
            due_s = queued.due_s if choice.bounded else math.inf
            wanted, fits, room = (
                stop_at(queued, share, self._costs.expected()),
                batch.fits(queued, due_s),
                batch.room(queued),
            )
            if not batch.slices and fits <= queued.start:
                if self._policy != "score":
                    too_late.append(place)
                    continue
                fits, due_s = wanted, math.inf  # late in any case
            stop = min(wanted, fits, room)
            may_split = not batch.slices or choice.shares is not None or room <= fits
            if stop > queued.start and (stop == wanted or may_split):
                batch.add(queued, stop, due_s)
                taken.append((place, stop))
            if stop < wanted and room <= fits:
                return batch, "full", taken, too_late
            missed += stop < wanted
            if missed and (not choice.is_degraded or missed > _MISSES):
                break
        return batch, "deadline" if missed else "drained", taken, too_late

    def _too_late_after(self, load: Load, waiting: Waiting, taken: list[int]) -> set[int]:
        """Return the places of the lists of which nothing more can be scored behind this batch."""
        back_s = self._costs.predict(load)
        waits = np.ones(len(waiting.slack_s), bool)
        waits[taken] = False
        return set(np.flatnonzero(waits & (waiting.slack_s < back_s + waiting.needed_s)).tolist())

    def _settle(self, taken: list[tuple[int, int]], gone: list[int]) -> list[Job]:
        """Take out of the queue what is over; return the jobs of which nothing more will be scored."""
        waiting, over = self._queue.waiting, []
        for place, stop in taken:
            if stop == len(waiting[place].tokens) - 1:
                over.append(place)
            else:
                self._queue.advance(place, stop)
        passed = []
        for place in sorted(gone):
            waiting[place].job.scoring.shed_to(waiting[place].start, NO_TIME)
            passed.append(waiting[place].job)
        self._queue.remove(sorted([*over, *gone]))
        return passed

    def _probed(self, passed: list[Job], now_s: float) -> Dispatch:
        every_s = _PROBE_EVERY_S if self._queue else _IDLE_PROBE_EVERY_S
        if not passed or now_s < self._launched_s + every_s:
            return Dispatch([], "drained", passed, Load(0, 0))
        self._launched_s = now_s
        pairs = probe(passed[-1], _PROBE_TOKENS)
        return Dispatch([], "drained", passed, self._load_of(lengths_of([pairs])), pairs)

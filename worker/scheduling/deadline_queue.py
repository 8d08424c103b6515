"""The lists that wait for the device, in the order of their effective deadlines."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.flow.job import Job

# What is known of each list, as rows of one table: choosing a batch looks at all that waits, and must not touch an
# object for each. `tokens` and `squares` are the load of all candidates, `done_…` of what was taken, `least_…` of the
# first pairs that a cut leaves if possible, `next_…` of the first `start + 1` pairs.
_COLUMNS = (
    *("effective_s", "due_s", "priority"),
    *("tokens", "done_tokens", "least_tokens", "next_tokens"),
    *("squares", "done_squares", "least_squares", "next_squares"),
)
_NUMBER = {name: number for number, name in enumerate(_COLUMNS)}


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A list that waits. Times are seconds of the monotonic clock.

    `due_s` is when its scores are needed for its own sake, `effective_s` when they are needed by it or by one that must
    not be published before it (an inherited deadline); `start` the first pair still to be taken. `tokens` and
    `squares`, float64 (n + 1,), are the loads of the first i pairs, `least` how many of them a cut leaves if possible.
    All its candidates are `scale` times its pairs: some may not be tokenized.
    """

    job: Job
    due_s: float
    effective_s: float
    priority: float
    tokens: np.ndarray
    squares: np.ndarray
    least: int
    scale: float = 1.0
    start: int = 0

    def columns(self) -> tuple[float, ...]:
        """Return what the table has of it."""
        ahead = (self.start, self.least, self.start + 1)
        return (
            *(self.effective_s, self.due_s, self.priority),
            float(self.tokens[-1]) * self.scale,
            *(float(self.tokens[at]) for at in ahead),
            float(self.squares[-1]) * self.scale,
            *(float(self.squares[at]) for at in ahead),
        )


class DeadlineQueue:
    """Lists by effective deadline, equal ones in the order they came: `waiting`, and the columns, are in this order.

    What is put in is sorted in by `sort_in`, all of it at once.
    """

    def __init__(self) -> None:
        self.waiting: list[QueuedJob] = []
        self._table = np.zeros((len(_COLUMNS), 0))
        self._new: list[QueuedJob] = []
        self._places: dict[Job, QueuedJob] = {}

    def __len__(self) -> int:
        """Return how many lists wait, those that are taken in part included."""
        return len(self._places)

    def column(self, name: str) -> np.ndarray:
        """Return a column of what is sorted in, float64 (n,): not to be changed."""
        column: np.ndarray = self._table[_NUMBER[name]]
        return column

    def put(self, queued: QueuedJob) -> None:
        """Take in a list."""
        self._places[queued.job] = queued
        self._new.append(queued)

    def sort_in(self) -> None:
        """Bring the order up to date with what was put in."""
        if not self._new:
            return
        self._new.sort(key=lambda queued: queued.effective_s)
        effective_s = [queued.effective_s for queued in self._new]
        places = np.searchsorted(self.column("effective_s"), effective_s, side="right")
        self._table = np.insert(self._table, places, np.array([queued.columns() for queued in self._new]).T, axis=1)
        merged, at = [], 0
        for place, queued in zip(places.tolist(), self._new, strict=True):
            merged += self.waiting[at:place]
            merged.append(queued)
            at = place
        self.waiting = merged + self.waiting[at:]
        self._new = []

    def inherit_deadline(self, job: Job, effective_s: float, priority: float) -> None:
        """Let the predecessors of a list inherit its deadline and priority, so that they do not hold it back.

        Also those that have not come here yet: they bring what they inherited with them. It ends at the first that is
        early enough, since those before that one are so already.
        """
        ahead = job.after
        while ahead is not None and (ahead.inherited_deadline_s > effective_s or ahead.inherited_priority < priority):
            ahead.inherited_deadline_s = min(ahead.inherited_deadline_s, effective_s)
            ahead.inherited_priority = max(ahead.inherited_priority, priority)
            queued = self._places.get(ahead)
            if queued is not None and (queued.effective_s > effective_s or queued.priority < priority):
                self._move(queued, min(queued.effective_s, effective_s), max(queued.priority, priority))
            ahead = ahead.after

    def advance(self, at: int, start: int) -> None:
        """Note that the pairs of the list at this place are taken up to `start`."""
        queued = self.waiting[at]
        queued.start = start
        self._table[:, at] = queued.columns()

    def remove(self, places: Sequence[int]) -> list[Job]:
        """Take out the lists at these places, in ascending order; return their jobs."""
        jobs = [self.waiting[at].job for at in places]
        for at in reversed(places):
            del self._places[self.waiting[at].job]
            del self.waiting[at]
        self._table = np.delete(self._table, places, axis=1)
        return jobs

    def sweep(self) -> list[Job]:
        """Take out the lists whose partition is being given up."""
        self.sort_in()
        return self.remove([at for at, queued in enumerate(self.waiting) if not queued.job.tracked.wanted])

    def _move(self, queued: QueuedJob, effective_s: float, priority: float) -> None:
        self.sort_in()
        at = bisect.bisect_left(self.waiting, queued.effective_s, key=lambda each: each.effective_s)
        at = next(place for place in itertools.count(at) if self.waiting[place] is queued)
        del self.waiting[at]
        self._table = np.delete(self._table, at, axis=1)
        queued.effective_s, queued.priority = effective_s, priority
        to = bisect.bisect_left(self.waiting, effective_s, key=lambda each: each.effective_s)  # before its equals
        self.waiting.insert(to, queued)
        self._table = np.insert(self._table, to, queued.columns(), axis=1)

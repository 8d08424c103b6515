"""A batch that is being put together from events that wait, and what it will take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from worker.costs import Load
from worker.jobs import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.jobs import Job

OnOverload = Literal["partial", "passthrough", "score"]


class Waiting(NamedTuple):
    """An event in the queue, ordered by when its turn is."""

    turn_s: float  # when its scores are needed: by itself, or by one that must not be published before it
    arrival: int
    start: int  # the first pair still to be taken
    job: Job
    due_s: float  # when its scores must be there for its own sake
    tokens: np.ndarray  # (n + 1,) tokens of the first i pairs
    squares: np.ndarray  # (n + 1,) squared lengths of the first i pairs


class Batch:
    """A batch that is being put together, and what it will take."""

    def __init__(self, now_s: float, budget: int, terms: tuple[float, float, float]) -> None:
        self.slices: list[Slice] = []
        self._now_s = now_s
        self._budget = budget
        self._fixed, self._per_token, self._per_square = terms
        self.taken = Load(0, 0)
        self._earliest_s = math.inf

    def load(self, waiting: Waiting, start: int, stop: int) -> Load:
        """Return what the pairs `start` to `stop` of an event are to the device."""
        tokens, squares = waiting.tokens, waiting.squares
        return Load(int(tokens[stop] - tokens[start]), int(squares[stop] - squares[start]))

    def room(self, waiting: Waiting) -> int:
        """Return up to which pair an event fits into the token budget; one pair always goes into an empty batch."""
        room = self._budget - self.taken.tokens
        stop = int(np.searchsorted(waiting.tokens, waiting.tokens[waiting.start] + room, side="right")) - 1
        return stop if self.slices else max(stop, waiting.start + 1)

    def fits(self, waiting: Waiting) -> int:
        """Return up to which pair an event could be scored in time if it began now, alone."""
        start, limit = waiting.start, waiting.job.limit
        left_s = waiting.due_s - self._now_s
        if self._seconds(self.load(waiting, start, limit)) <= left_s:
            return limit
        tokens, squares = waiting.tokens[start : limit + 1], waiting.squares[start : limit + 1]
        seconds = self._fixed + self._per_token * (tokens - tokens[0]) + self._per_square * (squares - squares[0])
        return start + max(0, int(np.searchsorted(seconds, left_s, side="right")) - 1)

    def add(self, waiting: Waiting, stop: int, due_s: float) -> bool:
        """Add pairs of an event, unless that would make an event in the batch late."""
        more = self.load(waiting, waiting.start, stop)
        load = Load(self.taken.tokens + more.tokens, self.taken.squares + more.squares)
        earliest_s = min(self._earliest_s, due_s)
        if self.slices and self._now_s + self._seconds(load) > earliest_s:
            return False
        self.slices.append(Slice(waiting.job, waiting.start, stop))
        self.taken, self._earliest_s = load, earliest_s
        return True

    def probe(self, job: Job, tokens: int) -> Slice:
        """Take the first pairs of an event into an empty batch: of about so many tokens, at least one."""
        assert job.pairs is not None
        offsets = job.pairs.offsets
        stop = max(1, int(np.searchsorted(offsets, tokens, side="right")) - 1)
        self.taken = Load(int(offsets[stop]), int((np.diff(offsets[: stop + 1]) ** 2).sum()))
        return Slice(job, 0, stop)

    def is_calm(self, waiting: Iterable[Waiting], policy: OnOverload) -> bool:
        """Return whether all that could be in time alone are so when they are scored in the order of their turns.

        One that could not takes what its policy gives it, and nobody asks when it is done.
        """
        loads: list[Load] = []
        dues_s: list[float] = []
        for each in sorted(waiting):
            fits = self.fits(each)
            in_time = fits >= each.job.limit
            if in_time or policy != "passthrough":
                stop = fits if policy == "partial" else each.job.limit
                loads.append(self.load(each, each.start, stop))
                dues_s.append(each.due_s if in_time else math.inf)
        tokens = np.cumsum([load.tokens for load in loads])
        squares = np.cumsum([load.squares for load in loads])
        done_s = self._now_s + self._fixed + self._per_token * tokens + self._per_square * squares
        return bool((done_s <= dues_s).all())

    def _seconds(self, load: Load) -> float:
        return self._fixed + self._per_token * load.tokens + self._per_square * load.squares

"""A batch that is being put together: its slices, its load, and the earliest deadline in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from worker.flow.job import Slice

if TYPE_CHECKING:
    from worker.flow.job import Job
    from worker.scheduling.cost_model import Terms
    from worker.scheduling.deadline_queue import QueuedJob


class Batch:
    """A batch that is being put together: at most `budget` tokens, and back before the earliest deadline in it.

    `terms` say what its load takes, in passes of `pass_tokens`. Lists that share a batch also share padding: together
    they take `packing` times what each takes by itself.
    """

    def __init__(self, now_s: float, budget: int, terms: Terms, pass_tokens: float, packing: float = 1.0) -> None:
        self.slices: list[Slice] = []
        self.tokens = 0  # real ones
        self._now_s = now_s
        self._budget = budget
        self._terms = terms
        self._pass_tokens = pass_tokens
        self._packing = packing
        self.apart_tokens = 0.0  # what would be computed of its lists, each by itself
        self._apart_squares = 0.0
        self._earliest_s = math.inf

    def room(self, queued: QueuedJob) -> int:
        """Return up to which pair a list fits into the token budget; one pair always goes into an empty batch."""
        assert queued.job.scoring.pairs is not None
        offsets, start = queued.job.scoring.pairs.offsets, queued.start
        stop = int(np.searchsorted(offsets, offsets[start] + self._budget - self.tokens, side="right")) - 1
        return stop if self.slices else max(stop, start + 1)

    def fits(self, queued: QueuedJob, due_s: float) -> int:
        """Return up to which pair a list can be added so that the batch is back in time for it and for the others."""
        left_s = min(self._earliest_s, due_s) - self._now_s
        if left_s == math.inf:
            return len(queued.tokens) - 1
        tokens = self._packing * (queued.tokens[queued.start :] - queued.tokens[queued.start] + self.apart_tokens)
        squares = self._packing * (queued.squares[queued.start :] - queued.squares[queued.start] + self._apart_squares)
        passes = np.maximum(1.0, np.ceil(tokens / self._pass_tokens))
        seconds = self._terms.per_pass * passes + self._terms.per_token * tokens + self._terms.per_square * squares
        return queued.start + max(0, int(np.searchsorted(seconds, left_s, side="right")) - 1)

    def add(self, queued: QueuedJob, stop: int, due_s: float) -> None:
        """Add the pairs of a list up to `stop`; `due_s` is when it must be back for its sake."""
        assert queued.job.scoring.pairs is not None
        start, offsets = queued.start, queued.job.scoring.pairs.offsets
        self.slices.append(Slice(queued.job, start, stop))
        self.tokens += int(offsets[stop] - offsets[start])
        self.apart_tokens += float(queued.tokens[stop] - queued.tokens[start])
        self._apart_squares += float(queued.squares[stop] - queued.squares[start])
        self._earliest_s = min(self._earliest_s, due_s)


def lengths_of(slices: list[Slice]) -> np.ndarray:
    """Return the tokens of each pair of some slices, int64 (pairs,)."""
    found = [
        np.diff(job.scoring.pairs.offsets[start : stop + 1])
        for job, start, stop in slices
        if job.scoring.pairs is not None
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def probe(job: Job, tokens: int) -> Slice:
    """Return the first pairs of a list, of about so many tokens, at least one."""
    assert job.scoring.pairs is not None
    return Slice(job, 0, max(1, int(np.searchsorted(job.scoring.pairs.offsets, tokens, side="right")) - 1))

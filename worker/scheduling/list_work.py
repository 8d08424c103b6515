"""What the first pairs of a list take, and where a list is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.flow.job import Job
    from worker.scheduling.cost_model import Load, Terms
    from worker.scheduling.deadline_queue import QueuedJob


def loads_of(job: Job, load_of: Callable[[np.ndarray], Load]) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens and squares of a job's first i pairs, float64 (n + 1,), with its share of the padding."""
    assert job.scoring.pairs is not None
    lengths = np.diff(job.scoring.pairs.offsets)
    tokens, squares = job.scoring.pairs.offsets.astype(np.float64), np.zeros(len(lengths) + 1)
    np.cumsum(lengths**2, out=squares[1:])
    whole = load_of(lengths)
    return tokens * (whole.tokens / max(1.0, tokens[-1])), squares * (whole.squares / max(1.0, squares[-1]))


def least_pairs(job: Job) -> int:
    """Return how many pairs a cut leaves if possible: those of the candidates that are asked for, at least one."""
    assert job.request is not None
    assert job.scoring.pairs is not None
    asked = job.request.top_k or 1
    if job.scoring.pairs.places is not None and asked > 1:
        asked = 1 + int(job.scoring.pairs.places[:asked].max(initial=0))
    return min(max(1, asked), len(job.scoring.pairs))


def stop_at(queued: QueuedJob, share: float, costs: Terms) -> int:
    """Return the number of pairs after which about this share of a list's work is done, at least one more than now."""
    pairs = len(queued.tokens) - 1
    if share >= 1:
        return pairs
    work_s = costs.per_token * queued.tokens + costs.per_square * queued.squares
    middles = (work_s[:-1] + work_s[1:]) / 2
    found = int(np.searchsorted(middles, share * queued.scale * work_s[-1], side="right"))
    return min(pairs, max(queued.start + 1, found))

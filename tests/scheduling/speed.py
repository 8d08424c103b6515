"""How long the host takes to choose a batch while many lists wait: `python -m tests.scheduling.speed`.

Thread time, so that other programs disturb it less. docs/scheduling.md has figures.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.support import making
from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.limits import BatchLimits
from worker.scheduling.scheduler import Scheduler

if TYPE_CHECKING:
    from worker.flow.job import Job
    from worker.scheduling.policy import OnOverload

# An H200 with a MiniLM-L6 (docs/gpu.md), in seconds; and what a batch takes there at most, in tokens.
FIXED_S, PER_TOKEN_S, PER_SQUARE_S, BATCH_TOKENS = 0.0012, 2.8e-7, 3e-10, 32_768
WAITING, BATCHES, ARRIVE = 16_000, 100, 3_000


@dataclass(frozen=True, slots=True)
class Speed:
    """The milliseconds of each decision, and how many lists it ended on average, scored or not."""

    policy: OnOverload
    longest_s: float
    decisions_ms: np.ndarray
    ended: float

    def __str__(self) -> str:
        """Return one line of text."""
        quantiles = np.quantile(self.decisions_ms, [0.5, 0.95])
        return (
            f"{self.policy:12} deadlines within {self.longest_s:4g} s: {self.decisions_ms.mean():5.2f} ms a decision "
            f"(p50 {quantiles[0]:.2f}, p95 {quantiles[1]:.2f}), which ends {self.ended:.0f} lists"
        )


def measure(policy: OnOverload, longest_s: float, *, waiting: int = WAITING, batches: int = BATCHES) -> Speed:
    """Choose so many batches while so many lists of two priorities wait; lists that end are replaced by new ones."""
    warm_up = [Load(pairs * length, pairs * length**2) for pairs in (1, 8, 32) for length in (16, 64, 128)]
    costs = CostModel(CostOptions(), [(load, _takes_s(load)) for load in warm_up])
    scheduler = Scheduler(BatchLimits(on_overload=policy), BATCH_TOKENS, costs)
    chance = np.random.default_rng(1)
    lists = [_list(chance, number) for number in range(waiting + ARRIVE)]
    for job in lists[:waiting]:
        _add(scheduler, job, longest_s * chance.random())
    fresh = iter(lists[waiting:])
    now_s, ended = 0.0, 0
    decisions_ms = []
    for _ in range(batches):
        before, began_s = len(scheduler), time.thread_time()
        dispatch = scheduler.next_batch(now_s)
        decisions_ms.append((time.thread_time() - began_s) * 1e3)
        ended += before - len(scheduler)
        for job, start, stop in dispatch.batch:
            job.scoring.unscored -= stop - start
        now_s += _takes_s(dispatch.load)
        while len(scheduler) < waiting and (new := next(fresh, None)) is not None:
            _add(scheduler, new, now_s + longest_s * chance.random())
    return Speed(policy, longest_s, np.array(decisions_ms[1:]), ended / batches)


def _takes_s(load: Load) -> float:
    return FIXED_S + PER_TOKEN_S * load.tokens + PER_SQUARE_S * load.squares


def _list(chance: np.random.Generator, number: int) -> Job:
    lengths = chance.integers(40, 130, int(chance.integers(10, 41))).tolist()
    return making.job(*lengths, offset=number, priority=int(chance.integers(2)))


def _add(scheduler: Scheduler, job: Job, deadline_s: float) -> None:
    job.deadline_s = deadline_s + 0.02
    scheduler.add(job)


if __name__ == "__main__":
    policies: tuple[OnOverload, ...] = ("partial", "passthrough", "score")
    sys.stdout.write(f"{WAITING:,} lists of 10 to 40 candidates wait\n")
    for each in policies:
        for seconds in (2.0, 20.0):
            sys.stdout.write(f"{measure(each, seconds)}\n")
            sys.stdout.flush()

"""What disturbs the scheduler passes: afterwards lists are scored as before, on a virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import making
from tests.support.simulation import Device, run
from worker.scheduling.cost_model import Load
from worker.scheduling.limits import BatchLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.flow.job import Job

DEVICE = Device()
BATCH = Load(16_384, 16_384 * 85)
BATCHES_S = 10 * DEVICE.seconds(BATCH)
RATE = BATCH.tokens / 75 / DEVICE.seconds(BATCH) / 25  # lists of 25 candidates of 75 tokens a second, at a load of 1
PARTIAL = BatchLimits(on_overload="partial")


def _lists(
    load: Callable[[float], float],
    until_s: float,
    *,
    budgets_s: Sequence[float] = (0.1, 0.3),
    candidates: tuple[int, int] = (10, 41),
) -> list[Job]:
    """Return Poisson arrivals at a load that changes with time."""
    chance = np.random.default_rng(1)
    now_s = 0.0
    jobs: list[Job] = []
    per_load = RATE * 50 / (sum(candidates) - 1)
    while now_s < until_s:
        now_s += chance.exponential(1 / (per_load * load(now_s)))
        job = making.job(*chance.integers(20, 130, chance.integers(*candidates)).tolist(), offset=len(jobs))
        job.created_s, job.deadline_s = now_s, now_s + float(chance.choice(budgets_s))
        jobs.append(job)
    return jobs


def _shares(jobs: list[Job], device: Device, from_s: float, to_s: float) -> tuple[float, float]:
    """Return the shares of candidates scored and of lists in budget, of lists that were made within these times."""
    ends = run(jobs, device, PARTIAL)
    chosen = [job for job in jobs if from_s <= job.created_s < to_s]
    scored = sum(job.scoring.limit for job in chosen) / sum(
        len(job.scoring.pairs) for job in chosen if job.scoring.pairs
    )
    return scored, sum(ends.finished_s[job] <= job.deadline_s for job in chosen) / len(chosen)


@pytest.mark.parametrize("load", [0.6, 1.5])
def test_a_device_that_was_three_times_slower_for_a_while_is_used_as_before(load: float) -> None:
    back_s = 3.0 + 0.3 + BATCHES_S
    steady, _ = _shares(_lists(lambda _: load, 8), DEVICE, back_s, 8)
    after, in_budget = _shares(_lists(lambda _: load, 8), replace(DEVICE, slow_s=(2.0, 3.0), slowness=3.0), back_s, 8)
    assert after >= steady - 0.03
    assert in_budget >= 0.99


@pytest.mark.parametrize("load", [0.5, 1.3])
def test_a_burst_of_ten_times_the_rate_passes_without_a_trace(load: float) -> None:
    def burst(now_s: float) -> float:
        return load * (10 if 2 <= now_s < 4 else 1)

    back_s = 4 + 0.3 + BATCHES_S
    steady, _ = _shares(_lists(lambda _: load, 9), DEVICE, back_s, 9)
    after, _ = _shares(_lists(burst, 9), DEVICE, back_s, 9)
    assert after >= steady - 0.03
    assert _shares(_lists(burst, 9), DEVICE, 0, 9)[1] >= 0.99


def test_one_list_of_a_thousand_candidates_does_not_stop_the_small_ones() -> None:
    jobs = _lists(lambda _: 0.6, 6)
    large = making.job(*[75] * 1000, offset=10**6)
    large.created_s, large.deadline_s = 2.0, 4.0
    jobs = sorted([*jobs, large], key=lambda job: job.created_s)
    scored, in_budget = _shares(jobs, DEVICE, 2.0, 4.0)
    assert scored >= 0.97
    assert in_budget >= 0.99
    assert large.scoring.shed is None


@pytest.mark.parametrize("load", [0.8, 2.0])
def test_lists_of_one_candidate_keep_the_device_as_busy(load: float) -> None:
    jobs = _lists(lambda _: load, 3, candidates=(1, 2))
    scored, in_budget = _shares(jobs, DEVICE, 0.5, 3)
    assert scored >= min(1.0, 1 / load) - 0.08
    assert in_budget >= 0.99


def test_short_and_long_budgets_share_a_device() -> None:
    scored, in_budget = _shares(_lists(lambda _: 0.5, 8, budgets_s=(0.02, 5.0)), DEVICE, 1, 7)
    assert scored >= 0.6
    assert in_budget >= 0.7

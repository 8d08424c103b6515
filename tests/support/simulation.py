"""Seconds of traffic in milliseconds: the real scheduler and cost model, a virtual clock and a virtual device."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tests.support import making
from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.scheduler import Scheduler

if TYPE_CHECKING:
    from worker.flow.job import Job, Slice
    from worker.scheduling.limits import BatchLimits


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a batch takes: fixed, by token, by squared length; and how much that varies."""

    fixed_s: float = 0.002
    per_token_s: float = 2e-6
    per_square_s: float = 2e-9
    noise: float = 0.05
    slow_s: tuple[float, float] = (math.inf, math.inf)  # from when to when it takes
    slowness: float = 1.0  # so many times as long
    warmed_up_at: float = 1.0  # and the warm-up so many times

    def seconds(self, load: Load) -> float:
        return self.fixed_s + self.per_token_s * load.tokens + self.per_square_s * load.squares

    def slowness_at(self, now_s: float) -> float:
        return self.slowness if self.slow_s[0] <= now_s < self.slow_s[1] else 1.0


@dataclass
class Ends:
    """How the events of a run ended."""

    jobs: list[Job]
    finished_s: dict[Job, float] = field(default_factory=dict)
    batch_pairs: list[int] = field(default_factory=list)

    def share(self, *, whole: bool = False) -> float:
        """Return the share of events that ended in their budget, of those scored as a whole where asked for."""
        good = [job for job in self.jobs if self.finished_s[job] <= job.deadline_s and not (whole and job.scoring.shed)]
        return len(good) / len(self.jobs)

    def whole_after(self, now_s: float) -> float:
        """Return the share of the events made after `now_s` that were scored as a whole in their budget."""
        chosen = [job for job in self.jobs if job.created_s >= now_s]
        return sum(self.finished_s[job] <= job.deadline_s and not job.scoring.shed for job in chosen) / len(chosen)

    def share_of(self, priority: int) -> float:
        chosen = [job for job in self.jobs if job.request and job.request.priority == priority]
        return sum(self.finished_s[job] <= job.deadline_s and not job.scoring.shed for job in chosen) / len(chosen)


def traffic(
    load: float,
    device: Device,
    *,
    count: int = 3000,
    seed: int = 1,
    priorities: tuple[int, ...] = (0,),
    budgets_s: tuple[float, float] = (0.1, 0.3),
) -> list[Job]:
    """Make Poisson arrivals of 10 to 100 candidates, at a share of what the device can do in full batches.

    70% have the first of the budgets, 30% the second.
    """
    chance = np.random.default_rng(seed)
    sizes = [chance.integers(20, 130, chance.integers(10, 101)) for _ in range(count)]
    mean = Load(
        int(np.mean([lengths.sum() for lengths in sizes])), int(np.mean([(lengths**2).sum() for lengths in sizes]))
    )
    in_batch = 16_384 / mean.tokens
    mean_s = device.seconds(mean) - device.fixed_s * (1 - 1 / in_batch)
    now_s, jobs = 0.0, []
    for number, lengths in enumerate(sizes):
        now_s += chance.exponential(mean_s / load)
        job = making.job(*lengths.tolist(), offset=number, priority=int(chance.choice(priorities)))
        job.created_s = now_s
        job.deadline_s = now_s + budgets_s[int(chance.random() >= 0.7)]
        jobs.append(job)
    return jobs


def run(jobs: list[Job], device: Device, limits: BatchLimits, *, seed: int = 1, batch_tokens: int = 16_384) -> Ends:
    """Let the jobs arrive, and the device work through what the scheduler gives it."""
    chance = np.random.default_rng(seed)
    warm_up = [Load(n * length, n * length**2) for n in (1, 8, 32) for length in (16, 64, 128)]
    costs = CostModel(CostOptions(), [(load, device.seconds(load) * device.warmed_up_at) for load in warm_up])
    scheduler = Scheduler(limits, batch_tokens, costs)
    ends, now_s, arrived = Ends(jobs), 0.0, 0
    while len(ends.finished_s) < len(jobs):
        while arrived < len(jobs) and jobs[arrived].created_s <= now_s:
            scheduler.add(jobs[arrived])
            arrived += 1
        dispatch = scheduler.next_batch(now_s)
        for job in dispatch.passed:
            if job.scoring.unscored == 0:
                _end(ends, job, now_s)
        if not dispatch.batch and dispatch.probe is None:
            if arrived < len(jobs):
                now_s = max(now_s, jobs[arrived].created_s)
            continue
        load = _load([dispatch.probe] if dispatch.probe else dispatch.batch)
        assert load == dispatch.load
        took_s = device.seconds(load) * device.slowness_at(now_s) * chance.lognormal(0, device.noise)
        now_s += took_s
        costs.observe(load, took_s, now_s)
        if dispatch.batch:
            ends.batch_pairs.append(sum(stop - start for _, start, stop in dispatch.batch))
        for job, start, stop in dispatch.batch:
            assert start < stop <= job.scoring.limit
            job.scoring.unscored -= stop - start
            if job.scoring.unscored == 0:
                _end(ends, job, now_s)
    return ends


def _end(ends: Ends, job: Job, now_s: float) -> None:
    assert job not in ends.finished_s, "an event ends once"
    ends.finished_s[job] = now_s


def _load(batch: list[Slice]) -> Load:
    lengths = [np.diff(job.scoring.pairs.offsets[start : stop + 1]) for job, start, stop in batch if job.scoring.pairs]
    return Load(int(sum(each.sum() for each in lengths)), int(sum((each**2).sum() for each in lengths)))

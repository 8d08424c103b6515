"""What the scheduler makes of devices under load, on a virtual clock: `python -m tests.scheduling.cases`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.support import making
from tests.support.simulation import Device, Ends, run
from worker.scheduling.cost_model import Load
from worker.scheduling.limits import BatchLimits

if TYPE_CHECKING:
    from worker.flow.job import Job
    from worker.scheduling.policy import OnOverload

CANDIDATES, TOKENS = (10, 40), (40, 129)  # from and to, evenly
_MEAN_TOKENS = sum(TOKENS) / 2
_MEAN_CANDIDATES = sum(CANDIDATES) / 2
Budgets = tuple[tuple[float, float], ...]  # seconds, with their shares
USUAL: Budgets = ((0.1, 0.7), (0.3, 0.3))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A device, the token budget of its batches, and the traffic that it gets."""

    name: str
    device: Device
    batch_tokens: int
    budgets: Budgets
    seconds: float
    loads: tuple[float, ...] = (0.85, 1.2, 2.0, 4.0)

    @property
    def capacity(self) -> float:
        """Return the candidates a second of full batches, the device never idle."""
        tokens = self.batch_tokens
        return tokens / _MEAN_TOKENS / self.device.seconds(Load(tokens, int(tokens * _MEAN_TOKENS)))

    def traffic(self, load: float, seed: int = 1) -> list[Job]:
        """Return Poisson arrivals at a share of the capacity."""
        chance = np.random.default_rng(seed)
        rate, now_s, jobs = load * self.capacity / _MEAN_CANDIDATES, 0.0, []
        seconds, shares = zip(*self.budgets, strict=True)
        for number in range(int(rate * self.seconds)):
            now_s += chance.exponential(1 / rate)
            lengths = chance.integers(TOKENS[0], TOKENS[1] + 1, chance.integers(CANDIDATES[0], CANDIDATES[1] + 1))
            job = making.job(*lengths.tolist(), offset=number)
            job.created_s = now_s
            job.deadline_s = now_s + float(chance.choice(seconds, p=shares))
            jobs.append(job)
        return jobs


# Measured on an H200 (docs/gpu.md) and on two cores: what a batch costs beside its tokens, by token and by square.
_L6 = Device(fixed_s=0.0007, per_token_s=3.5e-8, per_square_s=1.5e-10, noise=0.03)
_BASE = Device(fixed_s=0.0012, per_token_s=2.8e-7, per_square_s=3e-10, noise=0.03)
_CPU = Device(fixed_s=0.004, per_token_s=6e-5, per_square_s=3e-8, noise=0.08)
CASES = (
    Case(name="H200, MiniLM-L6", device=_L6, batch_tokens=32_768, budgets=USUAL, seconds=2),
    Case(name="H200, BERT-base", device=_BASE, batch_tokens=32_768, budgets=USUAL, seconds=3),
    Case(
        name="H200, BERT-base, 50 ms",
        device=_BASE,
        batch_tokens=32_768,
        budgets=((0.05, 0.7), (0.1, 0.3)),
        seconds=3,
    ),
    Case(name="two cores, MiniLM-L6", device=_CPU, batch_tokens=4_096, budgets=((0.5, 0.7), (1.5, 0.3)), seconds=60),
)


class Figures(NamedTuple):
    """What became of a case: shares of the lists, and candidates scored in time as a share of the capacity."""

    lists: int
    in_budget: float
    whole: float
    goodput: float
    pairs_in_batch: float
    whole_in_time: int


def measure(case: Case, load: float, on_overload: OnOverload, seed: int = 1) -> Figures:
    """Run a case at a load."""
    jobs = case.traffic(load, seed)
    ends = run(jobs, case.device, BatchLimits(on_overload=on_overload), batch_tokens=case.batch_tokens)
    good = [job for job in jobs if ends.finished_s[job] <= job.deadline_s]
    return Figures(
        lists=len(jobs),
        in_budget=len(good) / len(jobs),
        whole=sum(not job.scoring.shed for job in good) / len(jobs),
        goodput=sum(job.scoring.limit for job in good) / _span_s(jobs, ends) / case.capacity,
        pairs_in_batch=float(np.mean(ends.batch_pairs)),
        whole_in_time=sum(not job.scoring.shed for job in good),
    )


def _span_s(jobs: list[Job], ends: Ends) -> float:
    return max(ends.finished_s.values()) - jobs[0].created_s


def most_whole(case: Case, load: float, seed: int = 1) -> tuple[int, float]:
    """Return an upper bound of the lists that can be in time as a whole, and of their goodput over the capacity.

    The device works in full batches from the first arrival to the last deadline, and knows all lists beforehand: it
    takes the smallest ones that fit into this time, in any order. No schedule has more lists in time.
    """
    jobs = case.traffic(load, seed)
    sizes = np.sort([len(job.scoring.pairs) for job in jobs if job.scoring.pairs])
    span_s = max(job.deadline_s for job in jobs) - jobs[0].created_s
    fitting = np.cumsum(sizes) <= case.capacity * span_s
    arrivals_s = jobs[-1].created_s - jobs[0].created_s
    return int(fitting.sum()), min(1.0, float(sizes[fitting].sum()) / arrivals_s / case.capacity)


def main() -> None:
    """Print the cases as a table, or draw goodput against load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on-overload", choices=("partial", "passthrough", "score"), default="partial")
    parser.add_argument("--plot", type=Path, help="draw goodput against load into this .png file")
    options = parser.parse_args()
    print(f"{'device':24} {'load':>5} {'lists':>6} {'in budget':>9} {'whole':>6} {'goodput':>8} {'pairs a batch':>13}")
    series: dict[str, list[tuple[float, float]]] = {}
    for case in CASES:
        for load in case.loads:
            found = measure(case, load, options.on_overload)
            series.setdefault(case.name, []).append((load, found.goodput))
            print(
                f"{case.name:24} {load:5.2f} {found.lists:6} {found.in_budget:9.3f} {found.whole:6.2f} "
                f"{found.goodput:8.3f} {found.pairs_in_batch:13.1f}",
                flush=True,
            )
    if options.plot:
        from worker.tools.bench.plot import draw_lines

        draw_lines(options.plot, title=options.on_overload, x="load", y="goodput / capacity", series=series)


if __name__ == "__main__":
    main()

"""The traffic of `bench budget`: lone events, a full topic, and open-loop runs that are the same for every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from worker.tools.bench import lone
from worker.tools.bench.arrivals import PROCESSES
from worker.tools.bench.cpu_time import machine_seconds, named_thread_seconds
from worker.tools.bench.mix import Mix
from worker.tools.bench.open_loop import fly
from worker.tools.bench.requests import AMPLE_MS, InTurn, RequestMaker
from worker.tools.bench.result_checks import EventCounter, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.tools.bench.arrivals import Process
    from worker.tools.bench.budget_options import BudgetOptions
    from worker.tools.bench.budget_report import Tallies
    from worker.tools.bench.contenders import Contender
    from worker.tools.bench.open_loop import Planned
    from worker.tools.bench.progress import Advance
    from worker.tools.bench.requests import JudgedQueries
    from worker.tools.bench.saturation import Drained, Request
    from worker.tools.bench.workload import Workload

_FILLING = 40  # events that the first estimate of the capacity takes
_CAPACITY_RUNS = 3
_LIGHT = 0.3  # of the capacity, at which every list has time

# Arrival process, load and number of a run.
Run = tuple["Process", float, int]


class Traffic:
    """Makes the events of every part of the bench, and sends them."""

    def __init__(
        self, workload: Workload, lists: Mix, options: BudgetOptions, judged: JudgedQueries | None = None
    ) -> None:
        self._judged = judged
        self.budgets = Mix((AMPLE_MS,), (1.0,))
        self._texts = InTurn(workload)
        self._maker = RequestMaker(self._texts)
        self._lists = lists
        self._options = options
        self._chance = np.random.default_rng(options.seed)

    def saturating(self, count: int) -> list[Request]:
        """Return `count` requests that are never late."""
        if self._judged is not None:
            return [self._judged.request() for _ in range(count)]
        return [self._maker.request(int(size)) for size in self._lists.draw(count, self._chance)]

    def whole(self, contender: Contender, capacity: float) -> EventCounter:
        """Return what becomes of each judged query when there is time for all of it."""
        assert self._judged is not None
        count = len(self._judged)
        planned = list(self._judged.plan(np.arange(count) / (_LIGHT * capacity), np.full(count, AMPLE_MS)))
        return tally(fly(planned, contender.post, contender.worker.check), tolerance_s=0.0)

    def lone(self, contender: Contender) -> lone.Lone:
        """Send events one at a time."""
        requests = self.saturating(self._options.lone_events)
        return lone.measure(contender.post, requests, contender.worker.check, self._chance)

    def capacity(self, contender: Contender) -> Drained:
        """Return the rates at saturation, of runs that last about as long as the others, together."""
        probe = contender.capacity([self.saturating(_FILLING)]).events_per_s
        count = max(_FILLING, round(probe * self._options.seconds / _CAPACITY_RUNS))
        return contender.capacity([self.saturating(count) for _ in range(_CAPACITY_RUNS)])

    def run(self, runs: Sequence[Run], capacity: float, workers: Sequence[Contender], advance: Advance) -> Tallies:
        """Send the events of every run to each worker, in another order each time."""
        found: Tallies = {(process, load, contender.name): [] for process, load, _ in runs for contender in workers}
        for turn, (process, load, number) in enumerate(runs):
            for contender in workers if turn % 2 == 0 else reversed(workers):
                # Every worker gets the same lists, budgets and times.
                chance = np.random.default_rng([self._options.seed, turn])
                times = PROCESSES[process](load * capacity, self._options.seconds, chance)
                planned = self._plan(times, chance)
                busy_s = _busy_s(contender)
                flown = fly(planned, contender.post, contender.worker.check)
                counted = tally(flown, tolerance_s=self._options.tolerance_ms / 1000)
                counted.host_s = _busy_s(contender) - busy_s
                found[process, load, contender.name].append(counted)
            advance(f"{process} at load {load:g}, round {number + 1} of {self._options.repeat}: done", 1)
        return found

    def _plan(self, times: np.ndarray, chance: np.random.Generator) -> list[Planned]:
        sizes, budgets = self._lists.draw(len(times), chance), self.budgets.draw(len(times), chance)
        if self._judged is not None:
            return list(self._judged.plan(times, budgets))
        self._texts.rewind()
        return list(self._maker.plan(times, sizes, budgets))


def _busy_s(contender: Contender) -> float:
    """Return the processor seconds of all that runs here but the model."""
    return machine_seconds() - named_thread_seconds(contender.worker.child.pid, "score")

"""`rerank-worker bench capacity`: the highest rate that a worker serves in budget, and the replicas for a traffic."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.tools.bench import contenders, lone
from worker.tools.bench.arrivals import poisson
from worker.tools.bench.broker import bench_broker
from worker.tools.bench.capacity_report import conclude
from worker.tools.bench.environment import Environment
from worker.tools.bench.model_check import check_model
from worker.tools.bench.open_loop import fly
from worker.tools.bench.progress import progress
from worker.tools.bench.rate_search import Trial, highest_rate
from worker.tools.bench.report import Report
from worker.tools.bench.requests import InTurn, RequestMaker
from worker.tools.bench.workload import load_workload
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.tools.bench.capacity_options import CapacityOptions
    from worker.tools.bench.contenders import Contender
    from worker.tools.bench.progress import Advance

_PAIRS = 5_000
_WARM_EVENTS = 10
_SATURATION_RUNS = 3
_ABOVE = 1.1  # of the rate at saturation: no higher one can hold


def bench_capacity(settings: Settings, options: CapacityOptions) -> None:
    """Measure and print. Raises StopError for options, a model, a file or a broker that cannot be used."""
    options.check()
    least = Least(options.candidates, f"lists of {options.candidates}")
    workload = load_workload(options.input, settings.events, pairs=_PAIRS, mean_tokens=options.mean_tokens, least=least)
    check_model(settings.model)
    environment = Environment()
    environment.add(
        workload=workload.description,
        candidates=options.candidates,
        budget_ms=options.budget_ms,
        share=options.share,
        seed=options.seed,
        **options.facts(settings),
    )
    report = Report("bench capacity", environment)
    maker = RequestMaker(InTurn(workload))
    with ExitStack() as stack, progress(3 + options.repeat) as advance:
        advance("starting a broker and a worker")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-bench-")))
        broker = stack.enter_context(bench_broker(settings.kafka, os.environ))
        environment.add(broker=broker.name)
        first = [maker.request(options.candidates) for _ in range(_WARM_EVENTS)]
        worker = contenders.start(stack, broker, settings, folder, first, name="worker")
        environment.add(**worker.build())
        advance("measuring at saturation", 1)
        saturation = _saturation(worker, maker, options)
        advance("sending lists one at a time", 1)
        alone = lone.measure(
            worker.post,
            [maker.request(options.candidates) for _ in range(options.lone_events)],
            worker.worker.check,
            np.random.default_rng(options.seed),
        )
        advance("searching", 1)
        search = _Search(worker, maker, options, advance)
        found = highest_rate(search.run, ceiling=saturation * _ABOVE, share=options.share, runs=options.repeat)
    lone.tell(report, alone)
    conclude(report, found, saturation, alone, options)


def _saturation(worker: Contender, maker: RequestMaker, options: CapacityOptions) -> float:
    """Return the events a second that the worker does without any budget."""
    probe = worker.capacity([[maker.request(options.candidates) for _ in range(2 * _WARM_EVENTS)]]).events_per_s
    count = max(2 * _WARM_EVENTS, round(probe * options.seconds / _SATURATION_RUNS))
    runs = [[maker.request(options.candidates) for _ in range(count)] for _ in range(_SATURATION_RUNS)]
    return worker.capacity(runs).events_per_s


class _Search:
    """Runs one rate after the other, each with arrivals of its own."""

    def __init__(self, worker: Contender, maker: RequestMaker, options: CapacityOptions, advance: Advance) -> None:
        self._worker = worker
        self._maker = maker
        self._options = options
        self._advance = advance
        self._number = 0

    def run(self, rate: float) -> Trial:
        """Send Poisson traffic at this rate; an event counts as good if all of it was scored and read in time."""
        self._number += 1
        options = self._options
        chance = np.random.default_rng([options.seed, self._number])
        times = poisson(rate, options.seconds, chance)
        sizes, budgets = np.full(len(times), options.candidates), np.full(len(times), options.budget_ms)
        flown = fly(list(self._maker.plan(times, sizes, budgets)), self._worker.post, self._worker.worker.check)
        good = sum(each.in_budget and each.result["outcome"] == "reranked" for each in flown if each.result)
        trial = Trial(rate, good, len(flown))
        self._advance(f"{rate:.1f} events/s: {trial.share:.1%} whole and in budget", 1)
        if not sys.stderr.isatty():  # a search takes minutes, also where no bar can be shown
            print(f"{rate:.1f} events/s: {trial.share:.1%} of {trial.events} whole and in budget", file=sys.stderr)
        return trial

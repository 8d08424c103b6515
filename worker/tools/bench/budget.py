"""`rerank-worker bench budget`: how many events end in their budget at given loads, with and without a scheduler."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.tools.bench import budget_report, contenders, lone
from worker.tools.bench.broker import bench_broker
from worker.tools.bench.budget_traffic import Run, Traffic
from worker.tools.bench.environment import Environment
from worker.tools.bench.mix import Mix, parse_mix
from worker.tools.bench.model_check import check_model
from worker.tools.bench.plot import draw_lines
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report
from worker.tools.bench.requests import AMPLE_MS, JudgedQueries
from worker.tools.bench.workload import QUERIES, load_workload
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.config.settings import Settings
    from worker.tools.bench.broker import BenchBroker
    from worker.tools.bench.budget_options import BudgetOptions
    from worker.tools.bench.budget_report import Tallies
    from worker.tools.bench.contenders import Contender
    from worker.tools.bench.saturation import Request

_PAIRS = 5_000
_WARM_EVENTS = 10
_MOST_CANDIDATES = 1_000
_SHARES = (0.7, 0.3)  # of the small and the large budget
_TIMES = (5.0, 15.0)  # of a lone event's latency
_TENTH = 10.0  # budgets are rounded to it, in ms


def bench_budget(settings: Settings, options: BudgetOptions) -> None:
    """Measure and print. Raises StopError for options, a model, a file or a broker that cannot be used."""
    options.check()
    lists = parse_mix("--lists", options.lists, low=1, high=_MOST_CANDIDATES, whole=True)
    budgets = parse_mix("--budgets", options.budgets, low=1, high=AMPLE_MS) if options.budgets else None
    largest = int(max(lists.values))
    least = Least(largest, f"lists of {largest}")
    judged = JudgedQueries(options.input or QUERIES) if options.quality else None
    texts = None if judged is not None else options.input
    workload = load_workload(texts, settings.events, pairs=_PAIRS, mean_tokens=options.mean_tokens, least=least)
    check_model(settings.model)
    environment = Environment()
    environment.add(
        workload=workload.description if judged is None else judged.description,
        lists=str(lists),
        seed=options.seed,
        **options.facts(settings),
    )
    report = Report("bench budget", environment)
    runs = list(_plan(options))
    with ExitStack() as stack, progress(4 + len(runs)) as advance:
        advance("starting a broker")
        broker = stack.enter_context(bench_broker(settings.kafka, os.environ))
        environment.add(broker=broker.name)
        advance("starting the workers", 1)
        traffic = Traffic(workload, lists, options, judged)
        workers = _start(stack, broker, settings, traffic.saturating(_WARM_EVENTS), fifo=options.fifo)
        environment.add(**workers[0].build())
        advance("sending events one at a time", 1)
        alone = traffic.lone(workers[0])
        lone.tell(report, alone)
        traffic.budgets = budgets or _scaled(float(np.median(alone.latencies_s)) * 1000)
        advance("measuring the capacity", 1)
        capacity = traffic.capacity(workers[0])
        whole = traffic.whole(workers[0], capacity.events_per_s) if judged is not None else None
        advance("measuring", 1)
        tallies = traffic.run(runs, capacity.events_per_s, workers, advance)
    environment.add(budgets_ms=str(traffic.budgets))
    report.add("budget.capacity.events_per_second", "events/s", capacity.events_per_s)
    report.add("budget.capacity.candidates_per_second", "candidates/s", capacity.pairs_per_s)
    sent = judged.description if judged is not None else f"Lists: {lists}"
    report.note(
        f"{sent}. Budgets, ms: {traffic.budgets}. Load 1 is the capacity, {capacity.events_per_s:.1f} events/s or "
        f"{capacity.pairs_per_s:,.0f} candidates/s at saturation. Latencies count from when an event was meant to be "
        "sent to when its result was read."
    )
    if judged is not None and options.input is None:
        report.note(
            "The shipped lists come in the order of BM25 over all attributes. Beside a model that reads titles alone, "
            "BM25 over titles is the order to compare with: NDCG@10 0.686."
        )
    budget_report.tell(report, tallies, capacity.pairs_per_s, whole)
    report.finish(options.json)
    if options.plot is not None:
        _draw(options.plot, tallies, capacity.pairs_per_s)


def _start(
    stack: ExitStack, broker: BenchBroker, settings: Settings, first: Sequence[Request], *, fifo: bool
) -> list[Contender]:
    """Start the worker as it is configured, and one without a scheduler beside it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-bench-")))
    workers = [contenders.start(stack, broker, settings, folder, first, name="worker")]
    if fifo:
        more = {**contenders.FIFO, **workers[0].decided()}
        workers.append(contenders.start(stack, broker, settings, folder, first, name="fifo", **more))
    return workers


def _plan(options: BudgetOptions) -> Iterator[Run]:
    """Give process, load and number of each run; rounds of all loads, so that a slow minute hits them all alike."""
    for number in range(options.repeat):
        for process in options.processes:
            for load in options.loads:
                yield process, load, number


def _scaled(lone_ms: float) -> Mix:
    """Return the budgets where none are given: multiples of a lone event's latency."""
    return Mix(tuple(max(_TENTH, round(times * lone_ms / _TENTH) * _TENTH) for times in _TIMES), _SHARES)


def _draw(path: Path, tallies: Tallies, capacity: float) -> None:
    curves = budget_report.curves(tallies, capacity)
    draw_lines(path, title="bench budget", x="load, share of the capacity", y="goodput / capacity", series=curves)

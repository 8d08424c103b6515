"""`rerank-worker bench host`: the whole worker through a real broker, with a scorer that costs nothing."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from typing import TYPE_CHECKING

from worker.tools.bench.broker import bench_broker
from worker.tools.bench.environment import Environment
from worker.tools.bench.free_scorer import FreeModels
from worker.tools.bench.host_events import fill, plan, sample
from worker.tools.bench.host_run import run_worker
from worker.tools.bench.plot import draw_bars
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from worker.settings import Settings
    from worker.tools.bench.host_events import List, Scenario
    from worker.tools.bench.host_options import HostOptions
    from worker.tools.bench.host_run import Window
    from worker.tools.bench.progress import Advance


def bench_host(settings: Settings, options: HostOptions) -> None:
    """Measure and print. Raises StopError for options, a model, a file or a broker that cannot be used."""
    options.check()
    environment = Environment()
    plans = {name: plan(name, settings.events, options) for name in ("cold", "warm")}
    environment.add(workload={name: planned.workload.description for name, planned in plans.items()})
    environment.add(events_per_run={name: planned.events for name, planned in plans.items()})
    models = FreeModels(settings.model)
    with (
        progress(2 + 2 * options.repeat) as advance,
        bench_broker(settings.kafka, os.environ) as broker,
        broker.topics(partitions=options.partitions) as cold,
        broker.topics(partitions=options.partitions) as warm,
    ):
        scenarios = {}
        for name, kafka in (("cold", cold), ("warm", warm)):
            advance(f"publishing the events of the {name} runs", 1)
            scenarios[name] = fill(plans[name], kafka)
        bench = _Bench(settings, models, scenarios, broker.pids)
        bench.measure(options.repeat, advance)
        environment.add(broker=broker.name, candidates=options.candidates)
    environment.add_model(models.make())
    report = Report("bench host", environment)
    bench.tell(report, options.candidates)
    report.finish(options.json)
    if options.plot is not None:
        _draw(options.plot, report)


class _Bench:
    """The runs of both scenarios, in turns, and of the tokenizer alone."""

    def __init__(
        self, settings: Settings, models: FreeModels, scenarios: dict[str, Scenario], pids: Sequence[int]
    ) -> None:
        self._settings = settings
        self._models = models
        self._scenarios = scenarios
        self._pids = pids
        self._runs: dict[str, list[Window]] = {name: [] for name in scenarios}
        self._alone: list[float] = []

    def measure(self, repeat: int, advance: Advance) -> None:
        """Make every run `repeat` times, in turns."""
        lists = sample(self._scenarios["cold"])
        for number in range(1, repeat + 1):
            advance(f"run {number} of {repeat}: the tokenizer alone")
            self._alone.append(self._tokenizer_rate(lists))
            for name, scenario in self._scenarios.items():
                advance(f"run {number} of {repeat}: the worker with a {name} token cache")
                self._runs[name].append(self._run(scenario))
                advance("", 1)

    def tell(self, report: Report, candidates: int) -> None:
        """Note every figure."""
        rates = {}
        for name, runs in self._runs.items():
            events = [run.events / run.seconds for run in runs]
            rates[name] = [rate * candidates for rate in events]
            published = self._scenarios[name].published
            size = published.megabytes / published.events
            report.add(f"host.{name}.pairs_per_second", "pairs/s", rates[name])
            report.add(f"host.{name}.events_per_second", "events/s", events)
            report.add(f"host.{name}.megabytes_per_second", "MB/s of requests", [rate * size for rate in events])
        report.add("host.tokenizer.pairs_per_second", "pairs/s", self._alone)
        for name, runs in self._runs.items():
            stages = sorted({stage for run in runs for stage in run.cpu})
            for stage in stages:
                spent = [1000 * run.cpu.get(stage, 0.0) / (run.events * candidates) for run in runs]
                report.add(f"host.{name}.cpu.{_word(stage)}", "CPU s per 1,000 pairs", spent)
        report.add_ratio("host.cold_vs_tokenizer", rates["cold"], self._alone)

    def _run(self, scenario: Scenario) -> Window:
        model = self._models.make()
        encoder = model.pair_encoder()
        for query, texts in scenario.known:
            encoder.encode(query, texts)
        # A group of its own reads the topic from its beginning.
        kafka = dataclasses.replace(scenario.kafka, group_id=f"{scenario.kafka.group_id}-{uuid.uuid4().hex[:8]}")
        settings = dataclasses.replace(self._settings, kafka=kafka)
        return run_worker(settings, model, scenario.published.events, self._pids)

    def _tokenizer_rate(self, lists: Sequence[List]) -> float:
        """Return how many pairs a second the tokenizers library makes tokens of, on one thread, with nothing around."""
        tokenizer = self._models.tokenizer.open()
        began_s = time.perf_counter()
        for query, texts in lists:
            tokenizer.encode(query, add_special_tokens=False)
            tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return sum(len(texts) for _, texts in lists) / (time.perf_counter() - began_s)


def _word(thread: str) -> str:
    return thread.replace("-", "_").replace(" ", "_").lower()


def _draw(path: Path, report: Report) -> None:
    prefix = "host.warm.cpu."
    spent = {r.name.removeprefix(prefix): r.value for r in report.results if r.name.startswith(prefix)}
    draw_bars(path, title="bench host, warm token cache", y="CPU seconds per 1,000 pairs", values=spent)

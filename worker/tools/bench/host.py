"""`rerank-worker bench host`: the whole worker through a real broker, with a scorer that costs nothing."""

from __future__ import annotations

import dataclasses
import os
import uuid
from typing import TYPE_CHECKING

from worker.tools.bench import host_report
from worker.tools.bench.broker import bench_broker
from worker.tools.bench.environment import Environment
from worker.tools.bench.free_scorer import FreeModels
from worker.tools.bench.host_events import fill, plan, sample
from worker.tools.bench.host_report import Measured
from worker.tools.bench.host_run import run_worker
from worker.tools.bench.host_tokenizer import pairs_per_s
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.config.settings import Settings
    from worker.tools.bench.host_events import Scenario
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
    host_report.tell(report, bench.measured)
    report.finish(options.json)
    if options.plot is not None:
        host_report.draw(options.plot, report)


class _Bench:
    """The runs of both scenarios, in turns, and of the tokenizer alone."""

    def __init__(
        self, settings: Settings, models: FreeModels, scenarios: dict[str, Scenario], pids: Sequence[int]
    ) -> None:
        # Transactions are named after the group: a name that is set for production is somebody else's.
        delivery = dataclasses.replace(settings.delivery, transactional_id=None)
        self._settings = dataclasses.replace(settings, delivery=delivery)
        self._models = models
        self._scenarios = scenarios
        self._pids = pids
        self.measured = Measured(
            candidates=scenarios["cold"].plan.candidates,
            threads=settings.stages.tokenizer_threads,
            published={name: scenario.published for name, scenario in scenarios.items()},
            runs={name: [] for name in scenarios},
        )

    def measure(self, repeat: int, advance: Advance) -> None:
        """Make every run `repeat` times, in turns."""
        measured, tokenizer = self.measured, self._models.tokenizer
        lists = sample(self._scenarios["cold"])
        for number in range(1, repeat + 1):
            advance(f"run {number} of {repeat}: the tokenizer alone")
            measured.alone.append(pairs_per_s(tokenizer, lists, 1))
            measured.alone_on_threads.append(pairs_per_s(tokenizer, lists, measured.threads))
            for name, scenario in self._scenarios.items():
                advance(f"run {number} of {repeat}: the worker with a {name} token cache")
                measured.runs[name].append(self._run(scenario))
                advance("", 1)

    def _run(self, scenario: Scenario) -> Window:
        model = self._models.make()
        encoder = model.pair_encoder()
        for query, texts in scenario.known:
            encoder.encode(query, texts)
        # A group of its own reads the topic from its beginning.
        kafka = dataclasses.replace(scenario.kafka, group_id=f"{scenario.kafka.group_id}-{uuid.uuid4().hex[:8]}")
        settings = dataclasses.replace(self._settings, kafka=kafka)
        return run_worker(settings, model, scenario.published.events, self._pids)

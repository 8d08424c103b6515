"""`rerank-worker bench stream`: pairs a second through a broker, against the bare scorer and two rivals in turns."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from worker.model.cross_encoder import load_model
from worker.scheduling.limits import token_budget
from worker.tools.bench import rivals
from worker.tools.bench.append_time import stamp_by_broker
from worker.tools.bench.broker import bench_broker
from worker.tools.bench.environment import Environment
from worker.tools.bench.fresh_texts import FreshTexts
from worker.tools.bench.plot import draw_bars
from worker.tools.bench.post import Post
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report
from worker.tools.bench.requests import RequestMaker
from worker.tools.bench.saturation import drain, warm
from worker.tools.bench.scorer import Scorer
from worker.tools.bench.served import served
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from worker.config.settings import Settings
    from worker.kafka_io import KafkaOptions
    from worker.model.cross_encoder import CrossEncoder
    from worker.model.options import Dtype
    from worker.tools.bench.broker import BenchBroker
    from worker.tools.bench.saturation import Consuming, Request
    from worker.tools.bench.stream_options import StreamOptions

_LEAST_EVENTS = 10  # of a round, and of the probe by which rounds are sized
_WARM_EVENTS = 2


def bench_stream(settings: Settings, options: StreamOptions) -> None:
    """Measure and print. Raises StopError for options, a model, a file or a broker that cannot be used."""
    options.check()
    texts = _texts(settings, options)
    environment = Environment()
    model = load_model(settings.model)
    settings = _decided(settings, model)
    environment.add_model(model)
    environment.add(workload=texts.description, candidates=options.candidates, partitions=options.partitions)
    environment.add(**options.facts(settings), known_texts=options.known_texts)
    report = Report("bench stream", environment)
    maker = RequestMaker(texts)
    with ExitStack() as stack, progress(2 + options.repeat) as advance:
        advance("starting a broker")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-bench-")))
        broker = stack.enter_context(bench_broker(settings.kafka, os.environ))
        environment.add(broker=broker.name)
        advance("starting the worker and its rivals", 1)
        turns = _Turns(stack, broker, options.partitions)
        if options.rivals:
            _add_rivals(turns, report, settings, folder)
        # Last, since it waits: the rivals load their models meanwhile.
        turns.add("worker", functools.partial(served, settings, folder=folder, name="worker"))
        turns.warm(maker.round(_WARM_EVENTS, options.candidates).requests)
        model.warm_up()
        scorer = Scorer(model, token_budget(settings.batch, model.device))
        events = _size(scorer, maker, texts, options)
        environment.add(events_per_run=events)
        scored: list[float] = []
        advance("measuring", 1)
        for number in range(options.repeat):
            # New texts for each round, the same for all: the worker's token cache must not know what nobody else knows.
            made = maker.round(events, options.candidates)
            if options.known_texts:
                scorer.run(made.pairs)
                turns.show("worker", made.requests)
                made = maker.again(made)
            scored.append(scorer.run(made.pairs).pairs_per_s)
            turns.measure(made.requests, number)
            advance(f"{number + 1} rounds of {options.repeat} done", 1)
    _tell(report, scored, turns.pairs_per_s)
    report.finish(options.json)
    if options.plot is not None:
        bars = {"bare scorer": scored, **turns.pairs_per_s}
        medians = {name: sorted(runs)[len(runs) // 2] for name, runs in bars.items()}
        draw_bars(options.plot, title="bench stream", y="pairs/s", values=medians)


def _decided(settings: Settings, model: CrossEncoder) -> Settings:
    """Decide once what was `auto`: on a busy machine the worker might come to another answer."""
    decided = dataclasses.replace(settings.model, device=model.device, dtype=cast("Dtype", model.dtype))
    return dataclasses.replace(settings, model=decided)


def _add_rivals(turns: _Turns, report: Report, settings: Settings, folder: Path) -> None:
    """Add the rivals that can run here; the report says why the others cannot."""
    model = settings.model
    for name in rivals.NAMES:
        if (reason := rivals.why_not(name, settings.kafka)) is not None:
            report.note(f"{name} was not measured: {reason}")
            continue
        turns.add(name, functools.partial(rivals.rival, name, model=model, device=model.device, folder=folder))


def _texts(settings: Settings, options: StreamOptions) -> FreshTexts:
    events = _WARM_EVENTS + _LEAST_EVENTS * (1 + options.repeat)
    return FreshTexts(
        options.input,
        settings.events,
        mean_tokens=options.mean_tokens,
        least=Least(events * options.candidates, f"{options.repeat} rounds of lists of {options.candidates}"),
    )


def _size(scorer: Scorer, maker: RequestMaker, texts: FreshTexts, options: StreamOptions) -> int:
    """Return the events that the bare scorer works off in about the seconds of a run, or for which the texts last."""
    size = options.candidates
    probed = scorer.run(maker.round(_LEAST_EVENTS, size).pairs)
    events = max(_LEAST_EVENTS, round(options.seconds * probed.pairs_per_s / size))
    return texts.lasting(events * size, options.repeat) // size


def _tell(report: Report, scored: list[float], streamed: dict[str, list[float]]) -> None:
    report.add("stream.scorer.pairs_per_second", "pairs/s", scored)
    for name, runs in streamed.items():
        report.add(f"stream.{name}.pairs_per_second", "pairs/s", runs)
    report.add_ratio("stream.vs_scorer", streamed["worker"], scored)
    for name in rivals.NAMES:
        if name in streamed:
            report.add_ratio(f"stream.vs_{name}", streamed["worker"], streamed[name])


class _Turns:
    """Consumers with topics of their own, which idle while one of them works."""

    def __init__(self, stack: ExitStack, broker: BenchBroker, partitions: int) -> None:
        self.pairs_per_s: dict[str, list[float]] = {}
        self._stack = stack
        self._broker = broker
        self._partitions = partitions
        self._consumers: dict[str, tuple[Consuming, Post]] = {}

    def add(self, name: str, start: Callable[[KafkaOptions], AbstractContextManager[Consuming]]) -> None:
        kafka = self._stack.enter_context(self._broker.topics(partitions=self._partitions))
        stamp_by_broker(kafka)
        post = self._stack.enter_context(Post(kafka))
        consumer = self._stack.enter_context(start(kafka))
        self._consumers[name] = (consumer, post)
        self.pairs_per_s[name] = []

    def warm(self, requests: list[Request]) -> None:
        for consumer, post in self._consumers.values():
            warm(consumer, post, requests)

    def show(self, name: str, requests: list[Request]) -> None:
        """Let one work off the requests, unmeasured."""
        consumer, post = self._consumers[name]
        drain(consumer, post, requests)

    def measure(self, requests: list[Request], turn: int) -> None:
        """Let each work off the requests, in another order each time."""
        names = list(self._consumers)
        for name in names if turn % 2 == 0 else reversed(names):
            consumer, post = self._consumers[name]
            self.pairs_per_s[name].append(drain(consumer, post, requests).pairs_per_s)

"""`rerank-worker bench delivery`: what exactly once costs beside at least once, in turns on one broker."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.exits import Exit, StopError
from worker.tools.bench import contenders, delivery_report
from worker.tools.bench.broker import OWN, bench_broker
from worker.tools.bench.environment import Environment
from worker.tools.bench.fresh_texts import FreshTexts
from worker.tools.bench.lone import GAP_S, send_alone
from worker.tools.bench.model_check import check_model
from worker.tools.bench.progress import progress
from worker.tools.bench.report import Report
from worker.tools.bench.requests import RequestMaker
from worker.tools.bench.saturation import drain
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.config.settings import Settings
    from worker.kafka_io import KafkaOptions
    from worker.tools.bench.broker import BenchBroker
    from worker.tools.bench.contenders import Contender
    from worker.tools.bench.delivery_options import DeliveryBenchOptions
    from worker.tools.bench.delivery_report import Runs
    from worker.tools.bench.saturation import Request

_WARM_EVENTS = 10
_LEAST_EVENTS = 20  # of a run at saturation, and of the probe by which runs are sized


def bench_delivery(settings: Settings, options: DeliveryBenchOptions) -> None:
    """Measure and print. Raises StopError for options, a model, a file or a broker that cannot be used."""
    options.check()
    _need_transactions(settings.kafka, os.environ)
    texts = _texts(settings, options)
    check_model(settings.model)
    environment = Environment()
    environment.add(workload=texts.description, candidates=options.candidates, seed=options.seed)
    environment.add(transaction_interval_s=settings.delivery.transaction_interval_s)
    report = Report("bench delivery", environment)
    maker = RequestMaker(texts)
    with ExitStack() as stack, progress(2 + options.repeat) as advance:
        advance("starting a broker")
        broker = stack.enter_context(bench_broker(settings.kafka, os.environ))
        environment.add(broker=broker.name)
        advance("starting the workers", 1)
        workers = _start(stack, broker, settings, maker.round(_WARM_EVENTS, options.candidates).requests)
        environment.add(**workers[0].build())
        events = _size(workers[0], maker, texts, options)
        environment.add(events_per_run=events)
        advance("measuring", 1)
        runs: Runs = {worker.name: [] for worker in workers}
        chance = np.random.default_rng(options.seed)
        for number in range(options.repeat):
            full = maker.round(events, options.candidates).requests
            alone = maker.round(options.lone_events, options.candidates).requests
            gaps_s = chance.uniform(*GAP_S, len(alone)).tolist()
            for worker in workers if number % 2 == 0 else reversed(workers):
                runs[worker.name].append(_run(worker, full, alone, gaps_s))
            advance(f"{number + 1} rounds of {options.repeat} done", 1)
    delivery_report.tell(report, runs)
    report.finish(options.json)
    if options.plot is not None:
        delivery_report.draw(options.plot, runs)


def _need_transactions(kafka: KafkaOptions, environ: Mapping[str, str]) -> None:
    if kafka.bootstrap_servers == OWN and not environ.get("KAFKA_HOME"):
        raise StopError(
            Exit.USAGE,
            "bench delivery: the embedded broker has no transactions that can be used; set KAFKA_HOME to an unpacked "
            "release of Apache Kafka, or name a broker with --bootstrap-servers",
        )


def _texts(settings: Settings, options: DeliveryBenchOptions) -> FreshTexts:
    rounds = options.repeat * (_LEAST_EVENTS + options.lone_events)
    least = (_WARM_EVENTS + _LEAST_EVENTS + rounds) * options.candidates
    who = f"{options.repeat} rounds of lists of {options.candidates}"
    return FreshTexts(options.input, settings.events, mean_tokens=options.mean_tokens, least=Least(least, who))


def _start(stack: ExitStack, broker: BenchBroker, settings: Settings, first: Sequence[Request]) -> list[Contender]:
    """Start a worker for each delivery."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-bench-")))
    started: list[Contender] = []
    for delivery in ("at-least-once", "exactly-once"):
        more = {"delivery": delivery, **(started[0].decided() if started else {})}
        name = delivery.replace("-", "_")
        started.append(contenders.start(stack, broker, settings, folder, first, name=name, **more))
    return started


def _size(worker: Contender, maker: RequestMaker, texts: FreshTexts, options: DeliveryBenchOptions) -> int:
    """Return the events that a worker does in about the seconds of a run, or for which the texts last."""
    size = options.candidates
    probed = worker.capacity([maker.round(_LEAST_EVENTS, size).requests]).events_per_s
    events = max(_LEAST_EVENTS, round(options.seconds * probed))
    return texts.lasting((events + options.lone_events) * size, options.repeat) // size - options.lone_events


def _run(
    worker: Contender, full: Sequence[Request], alone: Sequence[Request], gaps_s: Sequence[float]
) -> delivery_report.Run:
    """Let a worker empty a full topic, then answer lone events."""
    rate = drain(worker.worker, worker.post, full).pairs_per_s
    answers = send_alone(worker.post, alone, worker.worker.check, gaps_s)
    return delivery_report.Run(rate, [answer.latency_s * 1000 for answer in answers])

"""Puts the worker together, runs it, and takes it apart in order."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from worker import __version__, logs
from worker.channel import Channel
from worker.costs import CostModel, Load
from worker.dead_letter_limits import DeadLetterGuard
from worker.dead_letters import REASONS
from worker.delivery import AtLeastOnce, Delivery, Ending
from worker.door import Door
from worker.events import Decoder
from worker.in_flight import InFlight
from worker.kafka_io import Consumer, Producer, TransactionalProducer, check_topics, record_limits
from worker.ledger import Ledger
from worker.loop import MainLoop
from worker.metrics import Metrics
from worker.ordering import Predecessors, by_key, by_nothing, by_partition
from worker.pipeline import Pipeline, Pulse, Stage
from worker.scheduler import Scheduler, token_budget
from worker.server import Health, HttpServer
from worker.settings import unknown_variables
from worker.signals import StopSignals
from worker.stages import Publish, Score, Tokenize
from worker.traces import start_traces
from worker.transactions import ExactlyOnce
from worker.watchdog import Watchdog
from worker.watched import Pulses, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.jobs import Job
    from worker.model.cross_encoder import CrossEncoder
    from worker.settings import Settings
    from worker.traces.traces import Traces

log = logging.getLogger(__name__)

_JOIN_S = 2.0  # how long a stage may take to end once there is nothing more for it, at the end of the process
_FLUSH_S = 1.0  # how long the last spans of a worker that fails may take to be sent
_CLOSE_S = 30.0  # how long all may take to be closed, by the limits that each has of its own


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises StopError where it cannot start or go on, StageDiedError when a stage died; nothing is committed then that
    was not published.
    """
    logs.set_up(settings.logs)
    signals = StopSignals()
    signals.install()
    for name in unknown_variables(os.environ):
        log.warning(
            "%(variable)s is not an option; it is ignored", {"variable": name}, extra={"event": "unknown_variable"}
        )
    traces = start_traces(settings.traces, os.environ, settings.kafka.group_id)
    metrics = Metrics(REASONS)
    metrics.default_budget.set(settings.events.default_budget_ms / 1000)
    health = Health(settings.server.live_limit_s)
    server = HttpServer(settings.server, metrics.registry, health)
    server.start()
    log.info(
        "serving /metrics, /livez, /readyz and the status page on port %(port)d",
        {"port": server.port},
        extra={"event": "serving"},
    )
    with contextlib.closing(server):
        check_topics(settings.kafka)
        model, costs = _load_model_apart(settings, metrics)

        def is_stopping() -> bool:
            signals.finish_first()  # the main loop asks before it reads anything
            return signals.asked()

        serve(settings, model, costs, metrics, health=health, is_stopping=is_stopping, traces=traces)
    log.info("stopped", extra={"event": "stopped"})


def _load_model_apart(settings: Settings, metrics: Metrics) -> tuple[CrossEncoder, CostModel]:
    """Load in a thread that ends, and with it the threads that it computed with.

    Left beside those of the scorer they would be more than there are cores; OpenMP then sends threads to sleep between
    any two operators, which cost a quarter of the rate.
    """
    with ThreadPoolExecutor(1, "load") as thread:
        return thread.submit(_load_model, settings, metrics).result()


def _load_model(settings: Settings, metrics: Metrics) -> tuple[CrossEncoder, CostModel]:
    """Return the model, warm, and what the warm-up says of its costs."""
    from worker.model.cross_encoder import load_model
    from worker.model.nvml import open_gpu

    model = load_model(settings.model)
    if (gpu := open_gpu(model.device)) is not None:
        metrics.show_gpu(model.device, gpu.utilization, gpu.memory_used, gpu.memory_total)
    costs = CostModel(settings.costs, [(Load(time.tokens, time.squares), time.seconds) for time in model.warm_up()])
    metrics.name_build(__version__, model.name, model.device, model.dtype)
    log.info("model warm", extra={"event": "model_warm"})
    return model, costs


def serve(  # noqa: PLR0913 - everything meets here
    settings: Settings,
    model: CrossEncoder,
    costs: CostModel,
    metrics: Metrics,
    *,
    health: Health,
    is_stopping: Callable[[], bool],
    traces: Traces | None = None,
) -> None:
    """Read, score and publish with this model until `is_stopping`, which the main loop asks on every turn.

    The topics must exist. Raises as `run` does.
    """
    pulses = Pulses.new()
    metrics.poll_age.set_function(pulses.loop.age_s)
    inbox: Channel[Job] = Channel()
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    endings: Channel[Ending] = Channel()

    def tokenize() -> None:
        decoder = Decoder(settings.events)
        budget_ms = settings.events.default_budget_ms
        stage = Tokenize(decoder, model.pair_encoder(), budget_ms, settings.batch, model.score_cache)
        stage.run(inbox, scoring, publishing)

    # What torch and transformers have made stays for ever: without it a collection takes no tenths of a second.
    gc.collect()
    gc.freeze()
    with contextlib.ExitStack() as last, contextlib.ExitStack() as stack:
        watchdog = stack.enter_context(Watchdog(settings.watchdog))  # the first, so that it sees the others close
        consumer = stack.enter_context(Consumer(settings.kafka, isolation_level=settings.delivery.reads))
        delivery = stack.enter_context(
            contextlib.closing(_delivery(settings, consumer, endings, metrics, pulses.publisher))
        )
        scheduler = Scheduler(settings.batch, token_budget(settings.batch, model.device), costs)
        score = Score(scheduler, costs, model, metrics, pulse=pulses.scorer, delays=delivery.delays)
        publish = Publish(delivery, settings.kafka, model, metrics, pulses.publisher, traces=traces)
        pipeline = Pipeline(
            [
                Stage("tokenize", tokenize, (scoring,), settings.stages.tokenizer_threads),
                Stage("score", lambda: score.run(scoring, publishing), (publishing,), pulse=pulses.scorer),
                Stage("publish", lambda: publish.run(publishing), pulse=pulses.publisher),
            ]
        )
        loop = MainLoop(
            consumer=consumer,
            in_flight=InFlight(
                Ledger(), Door(settings.door), DeadLetterGuard(settings.dead_letters), _predecessors(settings)
            ),
            pipeline=pipeline,
            inbox=inbox,
            endings=endings,
            metrics=metrics,
            pulse=pulses.loop,
            options=settings.loop,
        )
        if traces is not None:  # when the group has been left: its partitions are not to wait for a collector
            last.callback(lambda: traces.close(loop.drain_ends_s or time.monotonic() + _FLUSH_S))
        stack.callback(pipeline.join, _JOIN_S)
        stack.callback(inbox.close)
        stack.callback(pulses.loop.beat, _CLOSE_S)

        def commit_age_s() -> float:
            return max(loop.commit_age_s(), delivery.commit_age_s())

        metrics.commit_age.set_function(commit_age_s)
        pipeline.start()
        watchdog.start(watched(settings, pulses, commit_age_s))
        health.watch({"the main loop": pulses.loop, "the scorer": pulses.scorer})
        health.ready_when(lambda: _missing(score, consumer, loop), is_draining=lambda: loop.stopping)
        loop.run(is_stopping)


def _missing(score: Score, consumer: Consumer, loop: MainLoop) -> str | None:
    """Return what keeps a worker with a loaded model from being ready."""
    if not score.is_warm:
        return "the scorer is warming up"
    if loop.stopping:
        return "the worker is stopping"
    return None if consumer.joined else "the worker is no member of the consumer group"


def _predecessors(settings: Settings) -> Predecessors:
    """Return who keeps the order: a transaction may hold only a partition's contiguous prefix."""
    if settings.delivery.is_transactional:
        return Predecessors(by_partition)
    return Predecessors(by_key if settings.delivery.order_by_key else by_nothing)


def _delivery(
    settings: Settings, consumer: Consumer, endings: Channel[Ending], metrics: Metrics, pulse: Pulse
) -> Delivery:
    """Return how outcomes are delivered. Raises StopError where the broker cannot be used so."""
    if not settings.delivery.is_transactional:
        return AtLeastOnce(Producer(settings.kafka), endings)
    options = settings.delivery
    name = options.transactional_id or f"{settings.kafka.group_id}-{socket.gethostname()}"
    limits = record_limits(settings.kafka)
    log.info("transactions of %(id)s", {"id": name}, extra={"event": "transactional_id"})
    return ExactlyOnce(
        lambda: TransactionalProducer(
            settings.kafka, transactional_id=name, timeout_s=options.transaction_timeout_s, limits=limits
        ),
        consumer.membership,
        options,
        endings,
        metrics,
        pulse=pulse,
        patience_s=settings.kafka.delivery_timeout_s,
    )

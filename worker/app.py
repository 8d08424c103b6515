"""Puts the worker together, runs it, and takes it apart in order."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
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
from worker.transactions import ExactlyOnce

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.jobs import Job
    from worker.model.cross_encoder import CrossEncoder
    from worker.settings import Settings

log = logging.getLogger(__name__)

_JOIN_S = 2.0  # how long a stage may take to end once there is nothing more for it, at the end of the process


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises StopError where it cannot start or go on, StageDiedError when a stage died; nothing is committed then that
    was not published.
    """
    logs.set_up(settings.logs)
    signals = StopSignals()
    signals.install()
    for name in unknown_variables(os.environ):
        log.warning("%s is not an option; it is ignored", name)
    metrics = Metrics(REASONS)
    health = Health(settings.server.live_limit_s)
    server = HttpServer(settings.server, metrics.registry, health)
    server.start()
    log.info("serving /metrics, /livez and /readyz on port %d", server.port)
    with contextlib.closing(server):
        check_topics(settings.kafka)
        model, costs = _load_model_apart(settings, metrics)

        def is_stopping() -> bool:
            signals.finish_first()  # the main loop asks before it reads anything
            return signals.asked()

        serve(settings, model, costs, metrics, health=health, is_stopping=is_stopping)
    log.info("stopped")


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

    model = load_model(settings.model)
    costs = CostModel(settings.costs, [(Load(time.tokens, time.squares), time.seconds) for time in model.warm_up()])
    metrics.name_build(__version__, model.name, model.device, model.dtype)
    log.info("model warm")
    return model, costs


def serve(  # noqa: PLR0913 - everything meets here
    settings: Settings,
    model: CrossEncoder,
    costs: CostModel,
    metrics: Metrics,
    *,
    health: Health,
    is_stopping: Callable[[], bool],
) -> None:
    """Read, score and publish with this model until `is_stopping`, which the main loop asks on every turn.

    The topics must exist. Raises as `run` does.
    """
    scorer_pulse, loop_pulse = Pulse(), Pulse()
    metrics.poll_age.set_function(loop_pulse.age_s)
    inbox: Channel[Job] = Channel()
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    endings: Channel[Ending] = Channel()

    def tokenize() -> None:
        decoder = Decoder(settings.events)
        stage = Tokenize(decoder, model.pair_encoder(), settings.events.default_budget_ms, model.score_cache)
        stage.run(inbox, scoring, publishing)

    # What torch and transformers have made stays for ever: without it a collection takes no tenths of a second.
    gc.collect()
    gc.freeze()
    with contextlib.ExitStack() as stack:
        consumer = stack.enter_context(Consumer(settings.kafka, transactional=_is_transactional(settings)))
        delivery = stack.enter_context(contextlib.closing(_delivery(settings, consumer, endings, metrics)))
        scheduler = Scheduler(settings.batch, token_budget(settings.batch, model.device), costs)
        score = Score(scheduler, costs, model, metrics, scorer_pulse)
        publish = Publish(delivery, settings.kafka, model, metrics)
        pipeline = Pipeline(
            [
                Stage("tokenize", tokenize, (scoring,), settings.stages.tokenizer_threads),
                Stage("score", lambda: score.run(scoring, publishing), (publishing,)),
                Stage("publish", lambda: publish.run(publishing)),
            ]
        )
        loop = MainLoop(
            consumer=consumer,
            ledger=Ledger(),
            predecessors=_predecessors(settings),
            door=Door(settings.door),
            guard=DeadLetterGuard(settings.dead_letters),
            pipeline=pipeline,
            inbox=inbox,
            endings=endings,
            metrics=metrics,
            pulse=loop_pulse,
            options=settings.loop,
            max_poll_records=settings.door.max_poll_records,
        )
        stack.callback(pipeline.join, _JOIN_S)
        stack.callback(inbox.close)
        pipeline.start()
        health.watch({"the main loop": loop_pulse, "the scorer": scorer_pulse})
        health.ready_when(lambda: _missing(consumer, loop))
        loop.run(is_stopping)


def _missing(consumer: Consumer, loop: MainLoop) -> str | None:
    """Return what keeps the worker from being ready."""
    if loop.stopping:
        return "the worker is stopping"
    return None if consumer.joined else "the worker is no member of the consumer group"


def _is_transactional(settings: Settings) -> bool:
    return settings.delivery.delivery == "exactly-once"


def _predecessors(settings: Settings) -> Predecessors:
    """Return who keeps the order: a transaction may hold only a partition's contiguous prefix."""
    if _is_transactional(settings):
        return Predecessors(by_partition)
    return Predecessors(by_key if settings.delivery.order_by_key else by_nothing)


def _delivery(settings: Settings, consumer: Consumer, endings: Channel[Ending], metrics: Metrics) -> Delivery:
    """Return how outcomes are delivered. Raises StopError where the broker cannot be used so."""
    if not _is_transactional(settings):
        return AtLeastOnce(Producer(settings.kafka), endings)
    options = settings.delivery
    name = options.transactional_id or f"{settings.kafka.group_id}-{socket.gethostname()}"
    limits = record_limits(settings.kafka)
    log.info("transactions of %s", name)
    delivery = ExactlyOnce(
        lambda: TransactionalProducer(
            settings.kafka, transactional_id=name, timeout_s=options.transaction_timeout_s, limits=limits
        ),
        consumer.membership,
        options,
        endings,
        metrics,
        patience_s=settings.kafka.delivery_timeout_s,
    )
    metrics.commit_age.set_function(delivery.commit_age_s)
    return delivery

"""Puts the worker together, runs it, and takes it apart in order."""

from __future__ import annotations

import gc
import logging
import os
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from worker import logs
from worker.channel import Channel
from worker.dead_letters import REASONS
from worker.delivery import Ending, end_left_open, open_delivery
from worker.kafka_io import Consumer, check_compaction, check_topics
from worker.line import Line
from worker.loading import load_apart
from worker.metrics import Metrics
from worker.server import Health, HttpServer
from worker.settings import unknown_variables
from worker.signals import StopSignals
from worker.traces import start_traces
from worker.watchdog import Watchdog
from worker.watched import Pulses, awaited, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.kafka_io import TopicSettings
    from worker.model.cross_encoder import CrossEncoder
    from worker.scheduling.cost_model import CostModel
    from worker.settings import Settings
    from worker.traces.traces import Traces

log = logging.getLogger(__name__)

_FLUSH_S = 1.0  # how long the last spans of a worker that fails may take to be sent


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises StopError where it cannot start or go on, StageDiedError when a stage died; nothing is committed then that
    was not published.
    """
    logs.set_up(settings.logs)
    signals = StopSignals()
    signals.install()
    _name_unknown_variables()
    traces = start_traces(settings.traces, os.environ, settings.kafka.group_id)
    metrics = Metrics(REASONS)
    metrics.events.default_budget.set(settings.events.default_budget_ms / 1000)
    health = Health(settings.server.live_limit_s)
    with closing(_start_server(settings, metrics, health)):
        topics = check_topics(settings.kafka)
        check_compaction(settings.kafka, topics)
        end_left_open(settings, topics)
        model, costs = load_apart(settings, metrics)

        def is_stopping() -> bool:
            signals.finish_first()  # the main loop asks before it reads anything
            return signals.asked()

        serve(
            settings,
            model,
            costs,
            metrics,
            health=health,
            is_stopping=is_stopping,
            topics=topics,
            traces=traces,
        )
    log.info("stopped", extra={"event": "stopped"})


def serve(  # noqa: PLR0913 - everything meets here
    settings: Settings,
    model: CrossEncoder,
    costs: CostModel,
    metrics: Metrics,
    *,
    health: Health,
    is_stopping: Callable[[], bool],
    topics: TopicSettings,
    traces: Traces | None = None,
) -> None:
    """Read, score and publish with this model until `is_stopping`, which the main loop asks on every turn.

    The topics must exist, and `topics` is what `check_topics` has found of them. Raises as `run` does.
    """
    _freeze_heap()
    pulses, endings = Pulses.new(), Channel[Ending]()
    metrics.progress.poll_age.set_function(pulses.loop.age_s)
    with ExitStack() as last, ExitStack() as stack:
        watchdog = stack.enter_context(Watchdog(settings.watchdog))  # the first, so that it sees the others close
        consumer = stack.enter_context(_open_consumer(settings))
        delivery = stack.enter_context(
            closing(open_delivery(settings, topics, consumer, endings, metrics, pulses.publisher))
        )
        line = Line(
            settings, model, costs, consumer, delivery, endings=endings, metrics=metrics, pulses=pulses, traces=traces
        )
        if traces is not None:  # when the group has been left: its partitions are not to wait for a collector
            last.callback(lambda: traces.close(line.loop.drain_ends_s or time.monotonic() + _FLUSH_S))
        stack.callback(line.close)
        metrics.progress.commit_age.set_function(line.commit_age_s)
        metrics.progress.outcome_age.set_function(line.outcome_age_s)
        line.start()
        watchdog.start(watched(settings, pulses, line.commit_age_s, line.outcome_age_s))
        threads = {"the main loop": pulses.loop, "the scorer": pulses.scorer}
        health.watch(threads, awaited(settings, line.outcome_age_s))
        health.ready_when(line.missing, is_draining=lambda: line.loop.stopping)
        line.loop.run(is_stopping)
        consumer.asked_to_stop()


def _open_consumer(settings: Settings) -> Consumer:
    # What is larger becomes a dead letter, and could not be in it.
    most = max(settings.events.max_event_bytes, settings.kafka.max_record_bytes)
    return Consumer(
        settings.kafka,
        isolation_level=settings.delivery.reads,
        record_bytes=most,
        hand_over_s=settings.loop.hand_over_timeout_s,
    )


def _freeze_heap() -> None:
    # What torch and transformers have made stays for ever: without it a collection takes no tenths of a second.
    gc.collect()
    gc.freeze()


def _start_server(settings: Settings, metrics: Metrics, health: Health) -> HttpServer:
    server = HttpServer(settings.server, metrics.registry, health)
    server.start()
    log.info(
        "serving /metrics, /livez, /readyz and the status page on port %(port)d",
        {"port": server.port},
        extra={"event": "serving"},
    )
    return server


def _name_unknown_variables() -> None:
    for name in unknown_variables(os.environ):
        log.warning(
            "%(variable)s is not an option; it is ignored", {"variable": name}, extra={"event": "unknown_variable"}
        )

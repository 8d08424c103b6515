"""Opens the delivery that the options promise."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from worker.delivery.at_least_once import AtLeastOnce
from worker.delivery.exactly_once import ExactlyOnce
from worker.kafka_io import Producer, TransactionalProducer, record_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.channel import Channel
    from worker.delivery.outcomes import Delivery, Ending
    from worker.kafka_io import Consumer, TopicSettings
    from worker.metrics import Metrics
    from worker.pipeline import Pulse
    from worker.settings import Settings

log = logging.getLogger(__name__)


def end_left_open(settings: Settings, topics: TopicSettings) -> None:
    """End the transaction that this worker's predecessor has left open, if outcomes leave in transactions.

    For the start, since the model takes longer to load than others can wait: the next owners of its partitions do not
    begin before, and readers of committed records see nothing behind it. Raises StopError where the broker cannot be
    used so.
    """
    if settings.delivery.is_transactional:
        _connect(settings, record_limits(settings.kafka, topics)).close()


def open_delivery(  # noqa: PLR0913, PLR0917 - it stands between all of these
    settings: Settings,
    topics: TopicSettings,
    consumer: Consumer,
    endings: Channel[Ending],
    metrics: Metrics,
    pulse: Pulse,
) -> Delivery:
    """Return how outcomes are delivered to `topics`. Raises StopError where the broker cannot be used so."""
    options, kafka = settings.delivery, settings.kafka
    if not options.is_transactional:
        return AtLeastOnce(lambda: Producer(kafka, topics), endings)
    limits = record_limits(kafka, topics)
    log.info("transactions of %(id)s", {"id": _transactional_id(settings)}, extra={"event": "transactional_id"})
    return ExactlyOnce(
        lambda: _connect(settings, limits),
        consumer.membership,
        options,
        endings,
        metrics,
        pulse=pulse,
        patience_s=kafka.delivery_timeout_s,
    )


def _connect(settings: Settings, limits: Mapping[str, int]) -> TransactionalProducer:
    timeout_s = settings.delivery.transaction_timeout_s
    return TransactionalProducer(
        settings.kafka, transactional_id=_transactional_id(settings), timeout_s=timeout_s, limits=limits
    )


def _transactional_id(settings: Settings) -> str:
    return settings.delivery.transactional_id or f"{settings.kafka.group_id}-{socket.gethostname()}"

"""Opens the delivery that the options promise."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from worker.delivery.at_least_once import AtLeastOnce
from worker.delivery.exactly_once import ExactlyOnce
from worker.kafka_io import Producer, TransactionalProducer, record_limits

if TYPE_CHECKING:
    from worker.channel import Channel
    from worker.delivery.outcomes import Delivery, Ending
    from worker.kafka_io import Consumer, TopicSettings
    from worker.metrics import Metrics
    from worker.pipeline import Pulse
    from worker.settings import Settings

log = logging.getLogger(__name__)


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
    name = options.transactional_id or f"{kafka.group_id}-{socket.gethostname()}"
    limits = record_limits(kafka, topics)
    log.info("transactions of %(id)s", {"id": name}, extra={"event": "transactional_id"})
    return ExactlyOnce(
        lambda: TransactionalProducer(
            kafka, transactional_id=name, timeout_s=options.transaction_timeout_s, limits=limits
        ),
        consumer.membership,
        options,
        endings,
        metrics,
        pulse=pulse,
        patience_s=kafka.delivery_timeout_s,
    )

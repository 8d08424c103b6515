"""Opens the delivery that the options promise."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from worker.delivery.at_least_once import AtLeastOnce
from worker.delivery.exactly_once import ExactlyOnce
from worker.kafka_io import Producer, TransactionalProducer, record_limits

if TYPE_CHECKING:
    from worker.delivery.delivery import Delivery, Ending
    from worker.delivery.options import DeliveryOptions
    from worker.flow.channel import Channel
    from worker.flow.stage_threads import Heartbeat
    from worker.kafka_io import Consumer, KafkaOptions
    from worker.observe.metrics import Metrics

log = logging.getLogger(__name__)


def open_delivery(  # noqa: PLR0913 - the last two are for transactions alone
    options: DeliveryOptions,
    kafka: KafkaOptions,
    consumer: Consumer,
    endings: Channel[Ending],
    *,
    metrics: Metrics,
    heartbeat: Heartbeat,
) -> Delivery:
    """Return how outcomes are delivered. Raises StopError where the broker cannot be used so."""
    if not options.is_transactional:
        return AtLeastOnce(Producer(kafka), endings)
    name = options.transactional_id or f"{kafka.group_id}-{socket.gethostname()}"
    limits = record_limits(kafka)
    log.info("transactions of %(id)s", {"id": name}, extra={"event": "transactional_id"})
    return ExactlyOnce(
        lambda: TransactionalProducer(
            kafka, transactional_id=name, timeout_s=options.transaction_timeout_s, limits=limits
        ),
        consumer.membership,
        options,
        endings,
        metrics,
        heartbeat=heartbeat,
        patience_s=kafka.delivery_timeout_s,
    )

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

    from worker.delivery.delivery import Delivery, Ending
    from worker.delivery.options import DeliveryOptions
    from worker.flow.channel import Channel
    from worker.flow.stage_threads import Heartbeat
    from worker.kafka_io import Consumer, KafkaOptions, TopicSettings
    from worker.observe.metrics import Metrics

log = logging.getLogger(__name__)


def end_left_open(options: DeliveryOptions, kafka: KafkaOptions, topics: TopicSettings) -> None:
    """End the transaction that this worker's predecessor has left open, if outcomes leave in transactions.

    For the start, since the model takes longer to load than others can wait: the next owners of its partitions do not
    begin before, and readers of committed records see nothing behind it. Raises StopError if the broker cannot be used
    so.
    """
    if options.is_transactional:
        _connect(options, kafka, record_limits(kafka, topics)).close()


def open_delivery(  # noqa: PLR0913 - the last two are for transactions alone
    options: DeliveryOptions,
    kafka: KafkaOptions,
    topics: TopicSettings,
    consumer: Consumer,
    endings: Channel[Ending],
    *,
    metrics: Metrics,
    heartbeat: Heartbeat,
) -> Delivery:
    """Return how outcomes are delivered to `topics`. Raises StopError if the broker cannot be used so."""
    if not options.is_transactional:
        return AtLeastOnce(lambda: Producer(kafka, topics), endings)
    limits = record_limits(kafka, topics)
    log.info("transactions of %(id)s", {"id": _transactional_id(options, kafka)}, extra={"event": "transactional_id"})
    return ExactlyOnce(
        lambda: _connect(options, kafka, limits),
        consumer.membership,
        options,
        endings,
        metrics,
        heartbeat=heartbeat,
        patience_s=kafka.delivery_timeout_s,
    )


def _connect(options: DeliveryOptions, kafka: KafkaOptions, limits: Mapping[str, int]) -> TransactionalProducer:
    return TransactionalProducer(
        kafka,
        transactional_id=_transactional_id(options, kafka),
        timeout_s=options.transaction_timeout_s,
        limits=limits,
    )


def _transactional_id(options: DeliveryOptions, kafka: KafkaOptions) -> str:
    return options.transactional_id or f"{kafka.group_id}-{socket.gethostname()}"

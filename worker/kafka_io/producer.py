"""Publishes records and reports each one's delivery. Any thread may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import errors as kafka_errors

from worker.kafka_io.producer_base import ProducerBase, RecordTooLarge, record_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.kafka_io.options import KafkaOptions


class Producer(ProducerBase):
    """A producer of single records."""

    def __init__(self, options: KafkaOptions) -> None:
        super().__init__(options, record_limits(options), delivery_timeout_s=options.delivery_timeout_s)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
        on_delivery: Callable[[Exception | None], None],
    ) -> None:
        """Hand a record to the producer; `on_delivery(error or None)` follows, once, from its thread or this one.

        An error is a StopError where an ACL is missing or the broker refuses the size. Raises RecordTooLarge alone.
        """
        try:
            future = self._hand_over(topic, key, value, headers)
        except RecordTooLarge:
            raise
        except Exception as error:
            on_delivery(error)
            return
        future.add_callback(lambda _: on_delivery(None))
        future.add_errback(lambda error: on_delivery(self._explained(error)))

    def flush(self, timeout_s: float) -> bool:
        """Return whether everything sent was acknowledged or has failed within about `timeout_s` seconds."""
        try:
            self._client.flush(timeout_s)
        except kafka_errors.KafkaTimeoutError:
            return False
        return True

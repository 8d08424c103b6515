"""Publishes records and reports each one's delivery. Any thread may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import errors as kafka_errors

from worker.kafka_io.topic_settings import record_limits
from worker.kafka_io.writer import KeyWanted, RecordTooLarge, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.kafka_io.options import KafkaOptions
    from worker.kafka_io.topic_settings import TopicSettings


class Producer(Writer):
    """A producer of single records; without `settings` it asks the brokers for the limits of its topics itself."""

    def __init__(self, options: KafkaOptions, settings: TopicSettings | None = None) -> None:
        super().__init__(options, record_limits(options, settings), delivery_timeout_s=options.delivery_timeout_s)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
        on_delivery: Callable[[Exception | None], None],
    ) -> None:
        """Hand a record to the producer; `on_delivery(error or None)` follows, once, from its thread or this one.

        An error is a StopError where an ACL is missing or the broker refuses the size, and KeyWanted where the client
        has to be thrown away. Raises RecordTooLarge alone.
        """

        def failed(error: Exception) -> None:
            on_delivery(self._key_wanted(topic, error) or self._explained(error))

        try:
            future = self._hand_over(topic, key, value, headers)
        except RecordTooLarge:
            raise
        except Exception as error:
            on_delivery(self._key_wanted(topic, error) or error)
            return
        future.add_callback(lambda _: on_delivery(None))
        future.add_errback(failed)

    def _key_wanted(self, topic: str, error: Exception) -> KeyWanted | None:
        """Return what an error means after a record without a key was refused; None where it has nothing to do with it.

        That breaks the client, and fails the records of its batch, and all that are sent after it.
        """
        if self._wants_key(topic, error):
            return KeyWanted(topic)
        is_own = isinstance(error, kafka_errors.InvalidRecordError) and error is not self._last_error
        if is_own or not self._keyless:
            return None
        return KeyWanted(None) if isinstance(self._last_error, kafka_errors.InvalidRecordError) else None

    def flush(self, timeout_s: float) -> bool:
        """Return whether everything sent was acknowledged or has failed within about `timeout_s` seconds."""
        try:
            self._client.flush(timeout_s)
        except kafka_errors.KafkaTimeoutError:
            return False
        return True

"""What every producer has: a connected client that takes records no larger than their topics do, and closes in time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.record.default_records import DefaultRecordBatchBuilder

from worker.exits import Exit, StopError
from worker.kafka_io.connect import connect
from worker.kafka_io.errors import running_trouble
from worker.kafka_io.fixes.null_headers import let_nulls_through, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worker.kafka_io.options import KafkaOptions

log = logging.getLogger(__name__)

_METADATA_WITHIN_S = 10.0  # how long a send may wait for a topic that has vanished; they are all known from the start
_CLOSE_WITHIN_S = 10.0
# What a batch of one record takes at most beside the record's bytes. A broker that compresses what does not become
# smaller by it adds up to 8 bytes to each 32 KiB.
_OVERHEAD_BYTES, _BYTES_FOR_ONE_MORE = 150, 4096
_BATCH_BYTES = 256 * 1024  # results have tens of kilobytes: the client's 16 would send each alone


class RecordTooLarge(Exception):  # noqa: N818 - the publisher's answer is a dead letter
    """The record is larger than `max_record_bytes`, or than its topic allows; it is not in the topic."""


class KeyWanted(Exception):  # noqa: N818 - the delivery's answer is to start over
    """A topic refuses records without a key, and the client that has sent one cannot go on.

    `topic` is None where the record had the misfortune to be sent beside such a one.
    """

    def __init__(self, topic: str | None) -> None:
        super().__init__(
            f"topic {topic} refuses a record without a key, since its cleanup.policy is compact: change that, or set "
            "--key-for-keyless request_id"
            if topic
            else "it was sent together with a record without a key, which its topic refuses"
        )
        self.topic = topic


class ProducerBase:
    """An idempotent client: what is acknowledged is on every in-sync replica, once, and in order within a key.

    `limits` are those of `record_limits`; `settings` go to the client as they are.
    """

    def __init__(
        self, options: KafkaOptions, limits: Mapping[str, int], *, delivery_timeout_s: float, **settings: Any
    ) -> None:
        let_nulls_through()
        self._options = options
        self._limits = limits
        self._topics = (options.result_topic, options.dead_letter_topic)
        self._keyless: set[str] = set()  # the topics that records without a key were sent to
        delivery_ms = int(delivery_timeout_s * 1000)
        linger_ms = int(options.linger_s * 1000)
        self._client: Any = connect(
            KafkaProducer,
            options,
            client_id="rerank-worker",
            enable_idempotence=True,
            acks="all",
            compression_type=None if options.compression == "none" else options.compression,
            linger_ms=linger_ms,
            # A topic's limit is on a batch: several small records must not be refused together.
            batch_size=min(_BATCH_BYTES, *(limit - limit // _BYTES_FOR_ONE_MORE for limit in self._limits.values())),
            max_request_size=options.max_record_bytes,
            delivery_timeout_ms=delivery_ms,
            request_timeout_ms=max(1, min(10_000, delivery_ms - linger_ms)),
            max_block_ms=int(_METADATA_WITHIN_S * 1000),
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **settings,
        )
        try:
            for topic in self._topics:
                self._await_topic(topic)
        except BaseException:
            self.close(0)
            raise

    def __enter__(self) -> Self:
        """Return itself; `close` comes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Send what is left, and close."""
        self.close()

    def close(self, timeout_s: float = _CLOSE_WITHIN_S) -> None:
        """Send what is left within `timeout_s` seconds, fail the rest, and end the client's thread.

        The client's own close raises where its flush is late, and leaves the thread to go on sending: what fails here
        would still be published. A second close with no time at all ends it.
        """
        try:
            self._client.close(timeout_s)
        except kafka_errors.KafkaTimeoutError:
            log.warning(
                "the producer was closed with records that nobody acknowledged", extra={"event": "not_acknowledged"}
            )
            self._client._sender.force_close()  # noqa: SLF001 - close() would flush, and so wait, again
            self._client._sender.join(_CLOSE_WITHIN_S)  # noqa: SLF001
            self._client._closed = True  # noqa: SLF001

    def _hand_over(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
    ) -> Any:
        """Give a record to the client and return its future.

        Raises RecordTooLarge by the topic's limit as it was at the start, since a refusal by the broker breaks the
        client for good, and what the client raises. It cannot send a record without key and value, which gets empty
        bytes for its value.
        """
        if value is None and key is None:
            value = b""
        sent = marked(headers)
        size = DefaultRecordBatchBuilder.size_of(key, value, sent)  # as it is sent: a header's name in UTF-8, too
        limit = self._limits.get(topic, self._options.max_record_bytes)
        if size + _OVERHEAD_BYTES + size // _BYTES_FOR_ONE_MORE > limit:
            raise RecordTooLarge(f"topic {topic} takes at most {limit} bytes, got {size} and their frame")
        if key is None:
            self._keyless.add(topic)
        try:
            return self._client.send(topic, value, key, sent)
        except kafka_errors.MessageSizeTooLargeError as error:
            raise RecordTooLarge(
                f"expected at most {self._options.max_record_bytes} bytes (max_record_bytes), got {size} and their "
                "frame"
            ) from error

    def _await_topic(self, topic: str) -> None:
        """Have the topic's partitions known, so that no send waits for them."""
        try:
            self._client.partitions_for(topic)
        except kafka_errors.KafkaTimeoutError as error:
            raise StopError(
                Exit.TOPIC, f"{self._options.bootstrap_servers}: topic {topic} does not exist or has no leader"
            ) from error
        except kafka_errors.KafkaError as error:
            raise running_trouble(error, self._options, topics=(topic,), topic_operation="Write") from error

    def _wants_key(self, topic: str, error: BaseException | None) -> bool:
        """Whether this error of a record of this topic says that the topic takes none without a key.

        What fails with it gets the error that the client ended with, whichever topic that was about.
        """
        is_own = isinstance(error, kafka_errors.InvalidRecordError) and error is not self._last_error
        return is_own and topic in self._keyless

    @property
    def _last_error(self) -> BaseException | None:
        """What the client cannot go on after, if anything."""
        return self._client._transaction_manager.last_error  # type: ignore[no-any-return]  # noqa: SLF001

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, kafka_errors.MessageSizeTooLargeError | kafka_errors.RecordListTooLargeError):
            return StopError(
                Exit.DELIVERY,
                "a topic refuses a record as too large: its limit could not be read, or was lowered since the start; "
                "set --max-record-bytes to it, or allow DescribeConfigs on the topic",
            )
        if isinstance(error, kafka_errors.InvalidRecordError):
            return StopError(
                Exit.DELIVERY,
                f"{' or '.join(dict.fromkeys(self._topics))} refuses a record as invalid: {error}",
            )
        if "AuthorizationFailed" in f"{type(error).__name__} {error}":
            return running_trouble(error, self._options, topics=self._topics, topic_operation="Write")
        return error

"""Sends requests with timestamps of one's own, and reads what comes back with the times that it came."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from worker.exits import Exit, StopError
from worker.kafka_io.connect import connect
from worker.tools.topic_reader import TopicReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.kafka_io import KafkaOptions
    from worker.records import Record

_FLUSH_S = 30.0
_BATCH_BYTES = 256 * 1024


class Arrival(NamedTuple):
    """A record that was read, and when: seconds of the monotonic clock."""

    record: Record
    came_s: float


class Post:
    """A producer for the request topic and a reader of what was committed of its ends: results and dead letters.

    One thread may send while another reads.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._failures: list[Exception] = []
        # What is delivered exactly once is there when its transaction is committed; to others this makes no difference.
        self._tail = TopicReader(options, (options.result_topic, options.dead_letter_topic), committed=True)
        try:
            self._producer: Any = connect(
                KafkaProducer,
                options,
                client_id="rerank-bench",
                acks="all",
                linger_ms=0,
                batch_size=_BATCH_BYTES,
                max_request_size=options.max_record_bytes,
                metrics_enabled=False,
            )
        except BaseException:
            self._tail.close()
            raise

    def __enter__(self) -> Self:
        """Return itself; the connections are closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._tail.close()
        self._producer.close(0)

    def send(self, key: bytes, value: bytes, *, at_ms: int | None = None, topic: str | None = None) -> None:
        """Send a request; `at_ms` is its record's timestamp, now if not given. A failure shows in `check`.

        Another topic than the one of the requests may be given.
        """
        future = self._producer.send(topic or self.options.request_topic, value, key, timestamp_ms=at_ms)
        future.add_errback(self._failures.append)

    def fill(self, requests: Iterable[tuple[bytes, bytes]]) -> None:
        """Send all of these keys and values and return when the broker has them. Raises StopError."""
        for key, value in requests:
            self.send(key, value)
        try:
            self._producer.flush(_FLUSH_S)
        except KafkaError as error:
            raise StopError(Exit.DELIVERY, f"the requests could not be published: {error}") from error
        self.check()

    def check(self) -> None:
        """Raise StopError where a request could not be published."""
        if self._failures:
            raise StopError(Exit.DELIVERY, f"a request could not be published: {self._failures[0]}")

    def read(self, timeout_s: float) -> list[Arrival]:
        """Return what has come; [] after `timeout_s` seconds."""
        records = self._tail.poll(timeout_s)
        now_s = time.monotonic()
        return [Arrival(record, now_s) for record in records]

    def read_until(
        self, keys: set[bytes], check: Callable[[], None], *, patience_s: float, pause_s: float = 0.0
    ) -> list[Arrival]:
        """Return what comes until each of the keys has come, or nothing has for `patience_s` seconds.

        Looking again only after `pause_s` seconds leaves the processor to what is measured. What came twice is twice
        in the list; what has another key is not.
        """
        came: list[Arrival] = []
        missing = set(keys)
        give_up_s = time.monotonic() + patience_s
        while missing and time.monotonic() < give_up_s:
            check()
            self.check()
            arrived = [each for each in self.read(0.1) if each.record.key in keys]
            if arrived:
                came += arrived
                missing.difference_update(each.record.key for each in arrived if each.record.key)
                give_up_s = time.monotonic() + patience_s
            if pause_s and missing:
                time.sleep(pause_s)
        return came

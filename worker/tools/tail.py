"""Reads topics as they grow, without a consumer group: nothing is committed, and nobody's share gets smaller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from worker.exits import Exit, StopError
from worker.kafka_io.bounded_poll import BoundedPoll
from worker.kafka_io.connect import connect
from worker.kafka_io.errors import running_trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.jobs import Record
    from worker.kafka_io import KafkaOptions

_ENDS_WITHIN_S = 2.0
_POLL_S = 0.05


class Tail:
    """Records of the topics from where they end now, or from their beginning. For one thread."""

    def __init__(
        self, options: KafkaOptions, topics: Sequence[str], *, from_beginning: bool = False, committed: bool = False
    ) -> None:
        """Return once the place to begin is fixed: what is published from then on will be seen.

        With `committed`, what is in a transaction is seen when that is committed, and never if it is aborted.
        Raises StopError where the brokers cannot be reached, or a topic is missing or may not be read.
        """
        self._options, self._topics = options, topics
        self._client: Any = connect(
            KafkaConsumer,
            options,
            group_id=None,
            client_id="rerank-watch",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_beginning else "latest",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=int(options.fetch_wait_s * 1000),
            isolation_level="read_committed" if committed else "read_uncommitted",
            metrics_enabled=False,
        )
        self._bounded = BoundedPoll(self._client, options)
        try:
            partitions = [name for topic in topics for name in partitions_of(self._client, topic, options)]
            self._client.assign(partitions)
            if not from_beginning:
                self._client.seek_to_end(*partitions)
            for partition in partitions:
                self._client.position(partition)  # seeking is lazy; this asks the broker
            if not from_beginning and not committed:
                self._skip_what_is_there(partitions)
        except KafkaError as error:
            self.close()
            raise running_trouble(error, options, topics=topics) from error
        except BaseException:
            self.close()
            raise

    def _skip_what_is_there(self, partitions: Sequence[Any]) -> None:
        """Go on to the ends that the answers to fetches name.

        Asked where a partition ends, the embedded broker counts the last batch as one record, however many it has.
        """
        client, give_up_s = self._client, time.monotonic() + _ENDS_WITHIN_S
        while any(client.highwater(each) is None for each in partitions) and time.monotonic() < give_up_s:
            self._bounded.poll(_POLL_S)
        for each in partitions:
            if (client.highwater(each) or 0) > client.position(each):
                client.seek(each, client.highwater(each))

    def poll(self, timeout_s: float) -> list[Record]:
        """Return what has come, in each partition's order; [] after `timeout_s` seconds. Raises StopError.

        One that is `corrupt` or `refused` stands for those that cannot be read, or would take too much memory.
        """
        try:
            return self._bounded.poll(timeout_s)
        except KafkaError as error:
            raise running_trouble(error, self._options, topics=self._topics) from error

    def __enter__(self) -> Self:
        """Return itself; `close` comes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._client.close(autocommit=False)


def partitions_of(client: Any, topic: str, options: KafkaOptions) -> list[Any]:
    """Return the client's names of a topic's partitions. Raises StopError where there is no such topic."""
    numbers = client.partitions_for_topic(topic)
    if not numbers:
        raise StopError(
            Exit.TOPIC,
            f"{options.bootstrap_servers}: topic {topic} does not exist; make it, or start a worker with "
            "--create-topics",
        )
    return [TopicPartition(topic, number) for number in sorted(numbers)]

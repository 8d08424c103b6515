"""Where replayed events go: a producer for each topic, and what became of every event that was sent."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from worker.dead_letters import replayed_headers
from worker.exits import Exit, StopError
from worker.kafka_io import Producer, check_topics

if TYPE_CHECKING:
    from worker.dead_letters import DeadLetter
    from worker.kafka_io import KafkaOptions
    from worker.ledger import Ticket


class Delivery(NamedTuple):
    """What became of an event: acknowledged by its topic, or not (`error`)."""

    ticket: Ticket
    topic: str
    error: Exception | None


class Outlets:
    """Sends events back to the topics that they came from, or to the one that is given."""

    def __init__(self, options: KafkaOptions, to: str | None) -> None:
        """Raise StopError where the topic that is given cannot be written to."""
        self._options = options
        self._to = to
        self._producers: dict[str, Producer] = {}
        self._deliveries: deque[Delivery] = deque()  # the producers' threads append
        self._stack = contextlib.ExitStack()
        if to is not None:
            self._producer(to)

    def send(self, ticket: Ticket, letter: DeadLetter) -> None:
        """Send an event back; a Delivery follows. Raises RecordTooLarge, and StopError where its topic is missing."""
        topic = self._to or letter.partition.topic

        def report(error: Exception | None) -> None:
            self._deliveries.append(Delivery(ticket, topic, error))

        self._producer(topic).send(topic, letter.key, letter.value, replayed_headers(letter), report)

    def deliveries(self) -> list[Delivery]:
        """Return what was delivered, or was not, since the last call."""
        return [self._deliveries.popleft() for _ in range(len(self._deliveries))]

    def _producer(self, topic: str) -> Producer:
        producer = self._producers.get(topic)
        if producer is None:
            # A client that needs this topic alone, and may write to it.
            options = dataclasses.replace(
                self._options, request_topic=topic, result_topic=topic, dead_letter_topic=topic
            )
            try:
                settings = check_topics(options)
            except StopError as error:
                hint = "" if self._to or error.code is not Exit.TOPIC else "; --to sends the events to another topic"
                raise StopError(error.code, f"{error}{hint}") from error
            producer = self._producers[topic] = self._stack.enter_context(Producer(options, settings))
        return producer

    def __enter__(self) -> Self:
        """Return itself; `close` comes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._stack.close()

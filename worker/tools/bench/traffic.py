"""The events of a bench: published to the request topic before anything reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError
from worker.kafka_io import Producer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.kafka_io import KafkaOptions

_FLUSH_S = 60.0


@dataclass(frozen=True, slots=True)
class Published:
    """What lies in a topic: how many events, and their bytes."""

    events: int
    megabytes: float


def publish_all(kafka: KafkaOptions, events: Iterable[bytes]) -> Published:
    """Publish events under keys of their own, and return when all are acknowledged.

    Raises StopError(Exit.DELIVERY) where one is not.
    """
    acknowledged = 0
    failures: list[Exception] = []

    def delivered(error: Exception | None) -> None:
        nonlocal acknowledged
        if error is None:
            acknowledged += 1
        else:
            failures.append(error)

    count = size = 0
    with Producer(kafka) as producer:
        for event in events:
            producer.send(kafka.request_topic, b"k%d" % count, event, (), delivered)
            count, size = count + 1, size + len(event)
        producer.flush(_FLUSH_S)
    if acknowledged < count:
        why = f": {failures[0]}" if failures else f" within {_FLUSH_S:.0f} s"
        raise StopError(Exit.DELIVERY, f"{acknowledged} of {count} events could be published{why}")
    return Published(count, size / 1e6)

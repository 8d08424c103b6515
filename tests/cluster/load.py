"""A steady load of requests, and what has become of them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.integration.line import event

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class Outcome:
    """What became of the requests of a load."""

    sent: int
    lost: int
    repeated: int
    late: int

    def __str__(self) -> str:
        share = 100 * self.late / max(1, self.sent)
        return f"{self.sent} sent, {self.lost} lost, {self.repeated} repeated, {self.late} late ({share:.1f}%)"


class Load:
    """Publishes `rate` requests a second inside its block."""

    def __init__(self, broker: str, topic: str, first: int, *, rate: float, budget_ms: float) -> None:
        self._broker, self._topic, self._rate, self._budget_ms = broker, topic, rate, budget_ms
        self.first = self._next = first
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, when everything is acknowledged."""
        self._stopping.set()
        self._thread.join()

    @property
    def sent(self) -> int:
        """How many were sent so far."""
        return self._next - self.first

    def _run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._broker)
        while not self._stopping.wait(1 / self._rate):
            self.publish(producer, 1)
        producer.close()

    def publish(self, producer: KafkaProducer, count: int) -> None:
        """Publish so many at once."""
        for _ in range(count):
            request = event(self._next, candidates=5, budget_ms=self._budget_ms)
            producer.send(self._topic, json.dumps(request).encode(), key=f"k{self._next}".encode())
            self._next += 1
        producer.flush(30)

    def outcome(self, results: str, dead_letters: str, *, within_s: float = 120) -> Outcome:
        """Wait until each has a result (or the time is up), and count."""
        wanted = {f"r{number}" for number in range(self.first, self._next)}
        found: Counter[str] = Counter()
        late = 0
        with KafkaConsumer(bootstrap_servers=self._broker, group_id=None, auto_offset_reset="earliest") as consumer:
            topics = (results, dead_letters)
            numbers = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(numbers)
            deadline_s = time.monotonic() + within_s
            while time.monotonic() < deadline_s and wanted - found.keys():
                for records in consumer.poll(500).values():
                    for record in records:
                        assert record.topic == results, f"a dead letter: {record.headers}"
                        result = json.loads(record.value)
                        if result["request_id"] in wanted:
                            late += result["request_id"] not in found and not result["deadline_met"]
                            found[result["request_id"]] += 1
        return Outcome(len(wanted), len(wanted - found.keys()), found.total() - len(found), late)

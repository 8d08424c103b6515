"""A steady load of requests, and what the topics say has become of them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.cluster.node_kafka import DEAD_LETTERS, REQUESTS, RESULTS
from tests.integration.line import event

if TYPE_CHECKING:
    from types import TracebackType

Place = tuple[int, int]  # partition and offset of a request
BUDGET_MS = 1_000  # what an event has that names no budget
_RATE = 10.0


class Request(NamedTuple):
    """What a result is held against."""

    at_ms: int
    candidates: list[str]


@dataclass(frozen=True)
class Outcome:
    """What became of a load's requests: how many, and how many of them in which way."""

    sent: int
    lost: int
    repeated: int
    late: int
    unranked: int
    wrong: list[str]

    @property
    def late_share(self) -> float:
        """The share whose first result came after its budget, by the broker's clock."""
        return self.late / self.sent


def judge(sent: dict[Place, Request], results: list[tuple[int, dict[str, Any]]], budget_ms: float) -> Outcome:
    """Hold all results of a load, each with when the broker had it, against what was sent."""
    first: dict[Place, tuple[int, dict[str, Any]]] = {}
    counts: Counter[Place] = Counter()
    wrong = []
    for at_ms, result in results:
        place = (result["source"]["partition"], result["source"]["offset"])
        counts[place] += 1
        first.setdefault(place, (at_ms, result))
        if sorted(each["id"] for each in result["ranking"]) != sorted(sent[place].candidates):
            wrong.append(f"{place}: {result['ranking']}")
    return Outcome(
        sent=len(sent),
        lost=len(sent.keys() - first.keys()),
        repeated=sum(count > 1 for count in counts.values()),
        late=sum(at_ms - sent[place].at_ms > budget_ms for place, (at_ms, _) in first.items()),
        unranked=sum(result["outcome"] != "reranked" for _, result in first.values()),
        wrong=wrong,
    )


class Load:
    """Publishes ten requests a second inside its block. `shape` are the keywords of `event`."""

    def __init__(self, broker: str, name: str, *, budget_ms: float = BUDGET_MS, **shape: int) -> None:
        self._broker, self._name, self._budget_ms, self._shape = broker, name, budget_ms, shape
        self._producer = KafkaProducer(bootstrap_servers=broker)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self._reader = _reader(broker)
        self.found: list[tuple[int, dict[str, Any]]] = []
        self.sent: dict[Place, Request] = {}

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End. Raises what has ended it before."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        due_s = time.monotonic()
        try:
            while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
                due_s += 1 / _RATE
                self.publish(1)
        except BaseException as error:
            self._error = error

    def publish(self, count: int) -> None:
        """Publish so many at once, and return when the broker has them."""
        futures = []
        for number in range(len(self.sent), len(self.sent) + count):
            request = event(number, budget_ms=self._budget_ms, **self._shape)
            request["request_id"] = f"{self._name}-{number}"
            value = json.dumps(request).encode()
            futures.append((request, self._producer.send(REQUESTS, value, key=f"k{number % 60}".encode())))
        self._producer.flush(30)
        for request, future in futures:
            at = future.get(30)
            self.sent[at.partition, at.offset] = Request(at.timestamp, [each["id"] for each in request["candidates"]])

    def results(self) -> list[tuple[int, dict[str, Any]]]:
        """Return those that are there, and when the broker had each; fails where a request became a dead letter."""
        for records in self._reader.poll(200).values():
            for record in records:
                assert record.topic == RESULTS, f"expected no dead letter, got one with {record.headers}"
                result = json.loads(record.value)
                if result["request_id"].startswith(f"{self._name}-"):
                    self.found.append((record.timestamp, result))
        return self.found

    def outcome(self, *, within_s: float = 90) -> Outcome:
        """Wait until each request has a result, or the time is up, and hold them against each other."""
        deadline_s = time.monotonic() + within_s
        while True:
            outcome = judge(self.sent, self.results(), self._budget_ms)
            if not outcome.lost or time.monotonic() > deadline_s:
                self._reader.close()
                self._producer.close()
                return outcome


def _reader(broker: str) -> KafkaConsumer:
    """Return a consumer of what comes from now on."""
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=None, isolation_level="read_committed")
    topics = (RESULTS, DEAD_LETTERS)
    numbers = [TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic)]
    consumer.assign(numbers)
    consumer.seek_to_end(*numbers)
    for number in numbers:
        consumer.position(number)  # else "the end" would be where it is at the first poll
    return consumer

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
from worker.kafka_io import KafkaOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from kafka.consumer.fetcher import ConsumerRecord

Place = tuple[int, int]  # partition and offset of a request
BUDGET_MS = 1_000  # what an event has that names no budget
OUTAGE_S = KafkaOptions().session_timeout_s + 2  # what is sent after a kill for so long may be late
_RATE = 10.0
_READ_MS = 100  # how soon the reader notices that it is to end


class Request(NamedTuple):
    """What a result is held against."""

    at_ms: int
    candidates: list[str]


Results = list[tuple[float, dict[str, Any]]]  # each with when a reader of committed records had it, in ms


class Outage(NamedTuple):
    """How long some partitions had no worker, and how many requests were late that this does not excuse."""

    took_s: float  # from the kill until the last of its requests that were late had a result
    late_outside: int


@dataclass(frozen=True)
class Outcome:
    """What became of a load's requests: how many, and how many of them in which way."""

    sent: int
    lost: int
    repeated: int
    late: int
    unranked: int
    wrong: list[str]
    outage: Outage | None = None

    @property
    def late_share(self) -> float:
        """The share whose first result came after its budget."""
        return self.late / self.sent


def judge(
    sent: dict[Place, Request],
    results: Sequence[tuple[float, dict[str, Any]]],
    budget_ms: float,
    *,
    killed_ms: float | None = None,
) -> Outcome:
    """Hold all results of a load against what was sent. `killed_ms` is when a worker was killed, if one was."""
    first: dict[Place, tuple[float, dict[str, Any]]] = {}
    counts: Counter[Place] = Counter()
    wrong = []
    for at_ms, result in results:
        place = (result["source"]["partition"], result["source"]["offset"])
        counts[place] += 1
        first.setdefault(place, (at_ms, result))
        if sorted(each["id"] for each in result["ranking"]) != sorted(sent[place].candidates):
            wrong.append(f"{place}: {result['ranking']}")
    late = [(sent[place].at_ms, at_ms) for place, (at_ms, _) in first.items() if at_ms - sent[place].at_ms > budget_ms]
    return Outcome(
        sent=len(sent),
        lost=len(sent.keys() - first.keys()),
        repeated=sum(count > 1 for count in counts.values()),
        late=len(late),
        unranked=sum(result["outcome"] != "reranked" for _, result in first.values()),
        wrong=wrong,
        outage=None if killed_ms is None else _outage(late, killed_ms),
    )


def _outage(late: list[tuple[int, float]], killed_ms: float) -> Outage:
    """Return what a kill explains of late requests, given as when each was sent and had its result.

    What the worker had in hand, sent before the kill and without a result then, is of the outage too.
    """
    inside = [at_ms for sent_ms, at_ms in late if sent_ms <= killed_ms + OUTAGE_S * 1000 and at_ms > killed_ms]
    return Outage((max(inside, default=killed_ms) - killed_ms) / 1000, len(late) - len(inside))


class Load:
    """Publishes ten requests a second inside its block. `shape` are the keywords of `event`."""

    def __init__(self, broker: str, name: str, *, budget_ms: float = BUDGET_MS, **shape: int) -> None:
        self._broker, self._name, self._budget_ms, self._shape = broker, name, budget_ms, shape
        self._producer = KafkaProducer(bootstrap_servers=broker)
        self._stopping, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self._found: Results = []
        self.sent: dict[Place, Request] = {}
        # A thread of its own: when a result can be read is when it is read, also while the test waits for something.
        self._reading = threading.Thread(target=self._read, args=(_reader(broker),), daemon=True)
        self._reading.start()

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

    def results(self) -> Results:
        """Return those that were read; fails where a request became a dead letter."""
        if self._error is not None:
            raise self._error
        return list(self._found)

    def outcome(self, *, within_s: float = 90, killed_ms: float | None = None) -> Outcome:
        """Wait until each request has a result, or the time is up, and hold them against each other."""
        deadline_s = time.monotonic() + within_s
        while True:
            outcome = judge(self.sent, self.results(), self._budget_ms, killed_ms=killed_ms)
            if not outcome.lost or time.monotonic() > deadline_s:
                self._closing.set()
                self._reading.join()
                self._producer.close()
                return outcome
            time.sleep(_READ_MS / 1000)

    def _read(self, reader: KafkaConsumer) -> None:
        try:
            while not self._closing.is_set():
                for records in reader.poll(_READ_MS).values():
                    now_ms = time.time() * 1000
                    for record in records:
                        self._take(record, now_ms)
        except BaseException as error:
            self._error = error
        finally:
            reader.close()

    def _take(self, record: ConsumerRecord, now_ms: float) -> None:
        assert record.topic == RESULTS, f"expected no dead letter, got one with {record.headers}"
        result = json.loads(record.value)
        if result["request_id"].startswith(f"{self._name}-"):
            self._found.append((now_ms, result))


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

"""Publishes requests and waits for what comes back, noting when each went and came."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from worker import dead_letters
from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worker.kafka_io import KafkaOptions, Producer
    from worker.records import Record
    from worker.tools.topic_reader import TopicReader

Event = dict[str, Any]

_POLL_S = 0.1
_PATIENCE_S = 30.0  # without any result, after which those that are missing count as missing


@dataclass(slots=True)
class Trip:
    """A request and what came back. Times are seconds of the monotonic clock; it ends once, either way."""

    event: Event
    sent_s: float
    came_s: float | None = None
    result: Any = None
    dead_letter: str | None = None

    @property
    def took_s(self) -> float:
        """The seconds from publishing the request to reading its result; NaN without one."""
        return float("nan") if self.came_s is None else self.came_s - self.sent_s


@dataclass(slots=True)
class Round:
    """Trips that belong together, in the order they were sent."""

    trips: list[Trip] = field(default_factory=list)

    @property
    def answered(self) -> list[Trip]:
        """The trips that have a result."""
        return [trip for trip in self.trips if trip.result is not None]

    @property
    def missing(self) -> list[Trip]:
        """The trips that have neither a result nor a dead letter."""
        return [trip for trip in self.trips if trip.came_s is None]

    @property
    def refused(self) -> list[Trip]:
        """The trips that ended as a dead letter."""
        return [trip for trip in self.trips if trip.dead_letter is not None]

    @property
    def took_s(self) -> float:
        """The seconds from the first request to the last result."""
        return max(trip.sent_s + trip.took_s for trip in self.answered) - self.trips[0].sent_s


class Traffic:
    """Sends requests and reads results; `check` is asked all the while and raises if waiting is in vain."""

    def __init__(
        self,
        producer: Producer,
        tail: TopicReader,
        options: KafkaOptions,
        check: Callable[[], None],
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._producer = producer
        self._tail = tail
        self._options = options
        self._check = check
        self._patience_s = patience_s
        self._failures: list[Exception] = []
        self._sent = 0

    def one_by_one(self, events: Iterable[Event], progress: Callable[[int], None], *, within_s: float) -> Round:
        """Send each event when the one before has come back: latency without a queue. Stop after `within_s` seconds."""
        sent = Round()
        stop_s = time.monotonic() + within_s
        for event in events:
            trip = self._send(event)
            sent.trips.append(trip)
            self._wait([trip], lambda _: None)
            progress(len(sent.answered))
            # Where one is missing, the others would wait as long for nothing.
            if trip.came_s is None or time.monotonic() > stop_s:
                break
        return sent

    def all_at_once(self, events: Iterable[Event], progress: Callable[[int], None]) -> Round:
        """Send all events and wait for all results: throughput, and the latency of a queue."""
        sent = Round([self._send(event) for event in events])
        self._wait(sent.trips, progress)
        return sent

    def _send(self, event: Event) -> Trip:
        # A name of its own for each sending, so that its result is recognised.
        self._sent += 1
        name = f"{event['request_id']}#{self._sent}"
        trip = Trip({**event, "request_id": name}, sent_s=time.monotonic())
        self._producer.send(self._options.request_topic, name.encode(), orjson.dumps(trip.event), (), self._delivered)
        return trip

    def _delivered(self, error: Exception | None) -> None:
        if error is not None:
            self._failures.append(error)

    def _wait(self, trips: Sequence[Trip], progress: Callable[[int], None]) -> None:
        open_trips = {trip.event["request_id"].encode(): trip for trip in trips}
        give_up_s = time.monotonic() + self._patience_s
        while open_trips and time.monotonic() < give_up_s:
            self._check()
            if self._failures:
                raise StopError(Exit.DELIVERY, f"a request could not be published: {self._failures[0]}")
            for record in self._tail.poll(_POLL_S):
                trip = open_trips.pop(record.key or b"", None)
                if trip is not None:
                    self._end(trip, record)
                    give_up_s = time.monotonic() + self._patience_s
            progress(len(trips) - len(open_trips))

    def _end(self, trip: Trip, record: Record) -> None:
        trip.came_s = time.monotonic()
        if record.partition.topic == self._options.result_topic:
            trip.result = orjson.loads(record.value or b"null")
        else:
            trip.dead_letter = dead_letters.read(record).message

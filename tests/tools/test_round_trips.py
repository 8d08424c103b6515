"""Round trips: what came back, what came back as a dead letter, and what did not come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import event
from tests.tools.test_watch import DEAD_LETTER
from worker.kafka_io import KafkaOptions, Producer
from worker.tools.round_trips import Traffic
from worker.tools.topic_reader import TopicReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.line import Line

pytestmark = pytest.mark.broker


class WorkerGoneError(Exception):
    """What a check raises."""


@pytest.fixture
def options(line: Line) -> KafkaOptions:
    return KafkaOptions(
        bootstrap_servers=line.broker,
        request_topic=line.requests,
        result_topic=line.results,
        dead_letter_topic=line.dead_letters,
    )


@pytest.fixture
def producer(options: KafkaOptions) -> Iterator[Producer]:
    with Producer(options) as producer:
        yield producer


@pytest.fixture
def make_traffic(options: KafkaOptions, producer: Producer) -> Iterator[Callable[..., Traffic]]:
    with TopicReader(options, (options.result_topic, options.dead_letter_topic)) as tail:

        def make(check: Callable[[], None] = lambda: None, patience_s: float = 30.0) -> Traffic:
            return Traffic(producer, tail, options, check, patience_s=patience_s)

        yield make


class Answering:
    """Answers requests as a worker would, whenever it is asked to check: by their number, a result or a dead letter."""

    def __init__(self, producer: Producer, options: KafkaOptions) -> None:
        self._producer = producer
        self._options = options
        self._tail = TopicReader(options, (options.request_topic,))

    def __call__(self) -> None:
        for record in self._tail.poll(0.1):
            name = json.loads(record.value or b"")["request_id"]
            if name.startswith("r1"):
                headers = [(header, text.encode()) for header, text in DEAD_LETTER.items()]
                topic, value = self._options.dead_letter_topic, b"{}"
            else:
                headers, topic, value = [], self._options.result_topic, json.dumps({"request_id": name}).encode()
            self._producer.send(topic, record.key, value, headers, lambda _: None)

    def close(self) -> None:
        self._tail.close()


@pytest.fixture
def answering(options: KafkaOptions, producer: Producer) -> Iterator[Answering]:
    made = Answering(producer, options)
    yield made
    made.close()


def test_each_request_meets_its_own_result_or_dead_letter(
    make_traffic: Callable[..., Traffic], answering: Answering
) -> None:
    seen: list[int] = []
    ended = make_traffic(answering).all_at_once([event(0), event(1), event(0)], seen.append)
    assert [trip.result and trip.result["request_id"] for trip in ended.trips] == ["r0#1", None, "r0#3"]
    assert [trip.dead_letter for trip in ended.refused] == [DEAD_LETTER["dlq.error-message"]]
    assert (len(ended.answered), ended.missing) == (2, [])
    assert all(trip.took_s > 0 for trip in ended.trips)
    assert seen[-1] == 3


def test_one_by_one_each_waits_for_the_one_before(make_traffic: Callable[..., Traffic], answering: Answering) -> None:
    ended = make_traffic(answering).one_by_one([event(0), event(2)], lambda _: None, within_s=60)
    first, second = ended.trips
    assert first.came_s is not None
    assert first.came_s <= second.sent_s


def test_one_by_one_ends_when_its_time_is_over(make_traffic: Callable[..., Traffic], answering: Answering) -> None:
    ended = make_traffic(answering).one_by_one([event(0), event(2)], lambda _: None, within_s=0)
    assert (len(ended.trips), len(ended.answered)) == (1, 1)


def test_what_does_not_come_back_in_time_is_missing(make_traffic: Callable[..., Traffic]) -> None:
    traffic = make_traffic(patience_s=0.1)
    assert len(traffic.all_at_once([event(0), event(1)], lambda _: None).missing) == 2
    assert len(traffic.one_by_one([event(0), event(1)], lambda _: None, within_s=60).trips) == 1


def test_waiting_ends_where_it_is_in_vain(make_traffic: Callable[..., Traffic]) -> None:
    def check() -> None:
        raise WorkerGoneError

    with pytest.raises(WorkerGoneError):
        make_traffic(check).all_at_once([event(0)], lambda _: None)

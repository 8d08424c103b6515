"""Since when records can have been readable: answers to fetches, of brokers and made up."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from kafka import TopicPartition

from tests.kafka_io.reading import Reader, owns_all, places, turn_until
from worker.kafka_io import Consumer
from worker.kafka_io.readable_since import ReadableSince

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kafka_io.reading import Join
    from worker.kafka_io import IsolationLevel, KafkaOptions

FIRST, SECOND = TopicPartition("requests", 0), TopicPartition("requests", 1)


class Fetches:
    """Answers to fetches of both partitions, in a session."""

    def __init__(self) -> None:
        self.handled = 0
        self.fetcher = SimpleNamespace(_handle_fetch_response=self._handle)
        self.ends = ReadableSince(SimpleNamespace(_fetcher=self.fetcher))

    def answer(
        self, sent_s: float, *, error: int = 0, session: int = 7, version: int = 12, **partitions: int | None
    ) -> None:
        """Answer with the ends of `first` and `second`, None being an error, or leave one out."""
        told = [
            SimpleNamespace(
                partition_index=0 if name == "first" else 1,
                error_code=6 if end is None else 0,
                high_watermark=-1 if end is None else end,
            )
            for name, end in partitions.items()
        ]
        response = SimpleNamespace(API_VERSION=version, responses=[SimpleNamespace(topic="requests", partitions=told)])
        if version >= 7:
            response.error_code, response.session_id = error, session
        self.fetcher._handle_fetch_response("node", {FIRST: 0, SECOND: 0}, sent_s, response)

    def since(self, offset: int, name: Any = FIRST) -> float | None:
        return self.ends.readable_since_s(name, offset)

    def _handle(self, *_: object) -> None:
        self.handled += 1


def test_a_record_behind_the_end_was_not_readable_when_the_fetch_was_sent() -> None:
    fetches = Fetches()
    fetches.answer(10.0, first=5, second=0)
    assert [fetches.since(offset) for offset in (4, 5, 6)] == [None, 10.0, 10.0]
    assert fetches.since(0, SECOND) == 10.0
    assert fetches.handled == 1


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Fetches().since(0) is None


def test_a_record_is_judged_by_the_last_end_before_it_however_many_answers_came_since() -> None:
    fetches = Fetches()
    for sent_s, end in ((10.0, 5), (11.0, 8), (12.0, 9)):
        fetches.answer(sent_s, first=end)
    assert [fetches.since(offset) for offset in (4, 5, 7, 8, 9)] == [None, 10.0, 10.0, 11.0, 12.0]


def test_of_many_ends_the_last_ones_are_kept() -> None:
    fetches = Fetches()
    for number in range(100):
        fetches.answer(float(number), first=number)
    assert [fetches.since(offset) for offset in (95, 96, 99)] == [None, 96.0, 99.0]


def test_a_partition_that_an_answer_leaves_out_ends_where_it_did() -> None:
    fetches = Fetches()
    fetches.answer(10.0, first=5, second=0)
    fetches.answer(20.0, second=3)
    assert (fetches.since(5), fetches.since(4)) == (20.0, None)
    assert (fetches.since(0, SECOND), fetches.since(3, SECOND)) == (10.0, 20.0)


@pytest.mark.parametrize("refusal", [{"error": 70}, {"session": -1}])
def test_an_answer_that_was_refused_says_nothing_of_its_partitions(refusal: dict[str, int]) -> None:
    fetches = Fetches()
    fetches.answer(10.0, first=5)
    fetches.answer(20.0, **refusal)
    assert fetches.since(5) == 10.0
    assert fetches.handled == 2


def test_after_an_error_of_a_partition_nothing_is_known_of_it_until_it_ends_somewhere_again() -> None:
    fetches = Fetches()
    fetches.answer(10.0, first=5)
    fetches.answer(20.0, first=None)
    fetches.answer(30.0)
    assert fetches.since(5) is None
    fetches.answer(40.0, first=5)
    assert fetches.since(5) == 40.0


def test_an_end_that_moved_back_counts_from_there() -> None:
    fetches = Fetches()
    fetches.answer(10.0, first=50)
    fetches.answer(20.0, first=3)
    assert [fetches.since(offset) for offset in (2, 3, 50)] == [None, 20.0, 20.0]


def test_answers_without_sessions_are_read_too() -> None:
    fetches = Fetches()
    fetches.answer(10.0, version=4, first=5)
    assert fetches.since(5) == 10.0


def _since(reader: Reader, partition: int, offset: int) -> float | None:
    name = TopicPartition(reader.consumer._options.request_topic, partition)
    return reader.consumer._past_ends.readable_since_s(name, offset)


@pytest.mark.broker
@pytest.mark.parametrize("isolation_level", ["read_uncommitted", "read_committed"])
def test_a_broker_proves_since_when_records_can_be_readable_but_of_those_that_were_there_before(
    options: KafkaOptions, produce: Callable[..., None], isolation_level: IsolationLevel
) -> None:
    produce(0, 3)
    with Consumer(options, isolation_level=isolation_level) as consumer:
        reader = Reader(consumer)
        turn_until(lambda: places(reader) == {0: (3, 3), 1: (0, 0)}, reader)
        assert _since(reader, 0, 2) is None
        told_s = time.monotonic()
        # In an idle partition too, of which the answers say nothing: every fetch that is answered counts.
        turn_until(lambda: min(_since(reader, 0, 3) or 0, _since(reader, 1, 0) or 0) > told_s, reader)
        produce(0, 1)
        acknowledged_s = time.monotonic()
        turn_until(lambda: len(reader.records) == 4, reader)
        since_s = consumer.readable_since_s(reader.records[-1])
        assert since_s is not None
        assert told_s < since_s < acknowledged_s
        assert consumer.readable_since_s(reader.records[0]) is None


@pytest.mark.broker
def test_while_nothing_is_fetched_nothing_more_is_known(join: Join, produce: Callable[..., None]) -> None:
    reader = join()
    turn_until(owns_all(reader), reader)
    turn_until(lambda: _since(reader, 0, 0) is not None, reader)
    reader.consumer.pause_all()
    for _ in range(5):
        reader.turn()
    paused_s = time.monotonic()
    for _ in range(5):
        reader.turn()
    produce(0, 1)
    reader.consumer.resume_all()
    turn_until(lambda: len(reader.records) == 1, reader)
    since_s = reader.consumer.readable_since_s(reader.records[0])
    assert since_s is not None
    assert since_s < paused_s

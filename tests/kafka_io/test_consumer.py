"""The consumer, as a member of a group on a real broker."""

from collections.abc import Callable

import pytest
from kafka import KafkaProducer

from tests.kafka_io.reading import Join, Reader, owns_all, places, turn_until
from worker.kafka_io import Consumer, KafkaOptions
from worker.records import Partition

pytestmark = pytest.mark.broker


def test_a_record_comes_as_it_was_sent(join: Join, produce: Callable[..., None], options: KafkaOptions) -> None:
    produce(
        1,
        key=b"\xff",
        value=b"\xfe raw",
        headers=[("a", b"1"), ("b", b""), ("a", b"2")],
        timestamp_ms=1_700_000_000_123,
    )
    produce(1, key=None, value=b"")
    produce(1, key=b"tombstone", value=None)
    reader = join()
    turn_until(lambda: len(reader.records) == 3, reader)
    first, second, third = reader.records
    assert first.partition == Partition(options.request_topic, 1)
    assert (first.offset, first.key, first.value) == (0, b"\xff", b"\xfe raw")
    assert first.headers == (("a", b"1"), ("b", b""), ("a", b"2"))
    assert first.timestamp_ms == 1_700_000_000_123
    assert (second.key, second.value, second.headers) == (None, b"", ())
    assert (third.key, third.value) == (b"tombstone", None)


def test_records_of_a_partition_come_in_order_and_no_more_than_asked_for(
    join: Join, produce: Callable[..., None]
) -> None:
    produce(0, 25)
    produce(1, 25)
    reader = join()
    turn_until(owns_all(reader), reader)
    while len(reader.records) < 50:
        assert len(reader.turn(max_records=7)) <= 7
    for number in (0, 1):
        offsets = [record.offset for record in reader.records if record.partition.number == number]
        assert offsets == list(range(25))


def test_a_record_of_ten_megabytes_is_read(broker: str, topics: Callable[..., str]) -> None:
    topic = topics("large", settings={"max.message.bytes": "12000000"})
    with KafkaProducer(bootstrap_servers=broker, max_request_size=12_000_000) as producer:
        producer.send(topic, bytes(10_000_000))
        producer.send(topic, b"behind it")
        producer.flush(30)
    with Consumer(
        KafkaOptions(bootstrap_servers=broker, request_topic=topic, group_id=topic, session_timeout_s=6)
    ) as c:
        reader = Reader(c)
        turn_until(lambda: len(reader.records) == 2, reader)
    assert [len(record.value or b"") for record in reader.records] == [10_000_000, 9]


def test_the_group_goes_on_where_it_committed(join: Join, produce: Callable[..., None], options: KafkaOptions) -> None:
    produce(0, 10)
    with Consumer(options) as first:
        reader = Reader(first)
        turn_until(lambda: len(reader.records) == 10, reader)
        first.commit({Partition(options.request_topic, 0): 7})
    second = join()
    turn_until(lambda: len(second.records) == 3, second)
    assert [record.offset for record in second.records] == [7, 8, 9]


@pytest.mark.apache
def test_a_new_group_begins_at_the_end_where_that_was_asked_for(join: Join, produce: Callable[..., None]) -> None:
    produce(0, 5)
    reader = join(auto_offset_reset="latest")
    turn_until(lambda: len(places(reader)) == 2, reader)
    produce(0, 1)
    turn_until(lambda: bool(reader.records), reader)
    assert [record.offset for record in reader.records] == [5]


def test_joined_says_when_the_group_was_joined(join: Join) -> None:
    reader = join()
    seen = [reader.consumer.joined]
    turn_until(owns_all(reader), reader)
    seen.append(reader.consumer.joined)
    assert seen == [False, True]
    assert set(reader.consumer._client.assignment()) == reader.owned


def test_polls_without_any_time_join_the_group_and_receive(join: Join, produce: Callable[..., None]) -> None:
    """The client alone throws a join away that ends between two polls."""
    produce(0, 3)
    reader = join()
    turn_until(lambda: len(reader.turn(timeout_s=0.0)) == 3)
    assert reader.told == ["assigned"]


def test_nothing_is_received_while_paused_and_everything_afterwards(join: Join, produce: Callable[..., None]) -> None:
    reader = join()
    turn_until(owns_all(reader), reader)
    reader.consumer.pause_all()
    reader.consumer.pause_all()
    produce(0, 5)
    for _ in range(20):
        assert reader.turn() == []
    reader.consumer.resume_all()
    reader.consumer.resume_all()
    turn_until(lambda: len(reader.records) == 5, reader)


def test_a_partition_that_comes_during_a_pause_is_paused_too(join: Join, produce: Callable[..., None]) -> None:
    produce(0, 5)
    produce(1, 5)
    reader = join()
    reader.consumer.pause_all()
    turn_until(owns_all(reader), reader)
    for _ in range(20):
        assert reader.turn() == []
    reader.consumer.resume_all()
    turn_until(lambda: len(reader.records) == 10, reader)

"""Records that cannot be read, on the disk of a real broker and on the way from it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from tests.damage import LENGTH_AT, overwrite, spoil, stored_batches, with_checksum
from tests.kafka_io.reading import Reader, turn_until
from worker.jobs import Partition
from worker.kafka_io import Consumer, KafkaOptions
from worker.kafka_io.corruption import Corruption, PollIsFullError, _Records
from worker.kafka_io.refusals import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.apache, pytest.mark.broker]

FAILED = "Record batch at offset 3 failed crc check"


@pytest.fixture
def options(apache_kafka: str, topics: Callable[..., str]) -> KafkaOptions:
    topic = topics("requests")
    return KafkaOptions(bootstrap_servers=apache_kafka, request_topic=topic, group_id=topic, session_timeout_s=6)


@pytest.fixture
def produce(options: KafkaOptions) -> Iterator[Callable[..., None]]:
    """Send batches of three records each."""
    with KafkaProducer(bootstrap_servers=options.bootstrap_servers, linger_ms=1000) as producer:

        def send(batches: int, size: int = 10) -> None:
            for _ in range(batches):
                for _ in range(3):
                    producer.send(options.request_topic, b"x" * size)
                producer.flush(30)

        yield send


@pytest.fixture
def log(options: KafkaOptions, log_of: Callable[..., Path]) -> Callable[[], Path]:
    return lambda: log_of(options.request_topic)


@pytest.fixture
def reader(options: KafkaOptions) -> Iterator[Reader]:
    with Consumer(options) as consumer:
        yield Reader(consumer)


def offsets(reader: Reader) -> list[int | tuple[int, int | None]]:
    """Return what was received: offsets, and for what was lost from where to where."""
    return [(one.offset, one.corrupt.next_offset) if one.corrupt else one.offset for one in reader.records]


def test_one_stands_for_a_batch_that_is_damaged_and_those_behind_it_follow(
    reader: Reader, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(3)
    spoil(log(), stored_batches(log())[1])
    turn_until(lambda: len(reader.records) == 7, reader)
    assert offsets(reader) == [0, 1, 2, (3, 6), 6, 7, 8]
    lost = reader.records[3]
    assert (lost.next_offset, lost.timestamp_ms, lost.key, lost.value, lost.headers) == (6, -1, None, None, ())
    assert lost.corrupt is not None
    assert lost.corrupt.why == FAILED
    for _ in range(3):
        assert reader.turn() == []


def test_reading_goes_on_when_something_comes_behind_a_damaged_end(
    reader: Reader, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(2)
    spoil(log(), stored_batches(log())[1])
    turn_until(lambda: len(reader.records) == 4, reader)
    produce(1)
    turn_until(lambda: len(reader.records) == 7, reader)
    assert offsets(reader) == [0, 1, 2, (3, 6), 6, 7, 8]


def test_a_group_that_begins_within_a_damaged_batch_loses_what_it_had_not_read_of_it(
    options: KafkaOptions, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(3)
    only = Partition(options.request_topic, 0)
    with Consumer(options) as consumer:
        first = Reader(consumer)
        turn_until(lambda: len(first.records) == 9, first)
        consumer.commit({only: 4})
        spoil(log(), stored_batches(log())[1])
        consumer.rewind({only: 0})
        turn_until(lambda: len(first.records) == 13, first)
    assert offsets(first)[9:] == [(4, 6), 6, 7, 8]
    with Consumer(options) as consumer:
        second = Reader(consumer)
        turn_until(lambda: len(second.records) == 4, second)
    assert offsets(second) == [(4, 6), 6, 7, 8]


def test_a_pause_before_a_damaged_batch_changes_nothing(
    reader: Reader, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(4)
    for batch in stored_batches(log())[1:3]:
        spoil(log(), batch)
    while len(reader.records) < 2:
        reader.turn(max_records=1)
    reader.consumer.pause_all()
    for _ in range(3):
        assert reader.turn() == []
    reader.consumer.resume_all()
    while len(reader.records) < 4:
        reader.turn(max_records=1)
    reader.consumer.pause_all()
    for _ in range(3):
        assert reader.turn() == []
    reader.consumer.resume_all()
    turn_until(lambda: len(reader.records) == 7, reader)
    assert offsets(reader) == [0, 1, 2, (3, 9), 9, 10, 11]


def test_the_other_partitions_of_a_fetch_are_not_touched(apache_kafka: str, topics: Callable[..., str],
                                                         log_of: Callable[..., Path]) -> None:  # fmt: skip
    topic = topics("requests", partitions=3)
    options = KafkaOptions(bootstrap_servers=apache_kafka, request_topic=topic, group_id=topic, session_timeout_s=6)
    with KafkaProducer(bootstrap_servers=apache_kafka) as producer:
        for number in range(30):
            producer.send(topic, b"x", partition=number % 3)
            producer.flush(30)
    spoil(log_of(topic, 1), stored_batches(log_of(topic, 1))[0])
    with Consumer(options) as consumer:
        reader = Reader(consumer)
        turn_until(lambda: len(reader.records) == 30, reader)
    for number in range(3):
        found = [one.offset for one in reader.records if one.partition.number == number]
        assert found == list(range(10))


def test_a_damaged_length_costs_its_own_batch_alone_although_the_broker_finds_no_way_past_it(
    reader: Reader, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(30, size=100)
    batch = stored_batches(log())[1]
    overwrite(log(), batch.at + LENGTH_AT, struct.pack(">i", batch.size + 20))
    turn_until(lambda: len(reader.records) == 88, reader)
    assert offsets(reader) == [0, 1, 2, (3, 6), *range(6, 90)]


def test_where_the_broker_itself_cannot_read_it_is_said_that_the_way_on_is_not_known(
    reader: Reader, produce: Callable[..., None], log: Callable[[], Path]
) -> None:
    produce(3)
    batch = stored_batches(log())[1]
    overwrite(log(), batch.at + LENGTH_AT, bytes(4))
    turn_until(lambda: len(reader.records) >= 5, reader)
    assert offsets(reader)[:5] == [0, 1, 2, (3, None), (3, None)]
    assert reader.records[3].next_offset == 3


def test_what_was_damaged_on_its_way_is_fetched_again(reader: Reader, produce: Callable[..., None]) -> None:
    fetcher = reader.consumer._client._fetcher
    parse = fetcher._parse_fetched_data
    damaged: list[Any] = []

    def parse_damaged(completed: Any) -> Any:
        data = completed.partition_data
        if data.records and not damaged:
            damaged.append(data)
            data.records = bytes(data.records[:-1]) + bytes([data.records[-1] ^ 0xFF])
        return parse(completed)

    fetcher._parse_fetched_data = parse_damaged
    produce(2)
    turn_until(lambda: len(reader.records) == 6, reader)
    assert offsets(reader) == list(range(6))
    assert damaged


def test_the_lost_end_of_an_aborted_transaction_hides_no_later_one(
    options: KafkaOptions, log: Callable[[], Path]
) -> None:
    producer = KafkaProducer(
        bootstrap_servers=options.bootstrap_servers, transactional_id=options.group_id, retry_backoff_ms=5
    )
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.send(options.request_topic, end.__name__.encode())
        producer.flush(30)
        end()
    producer.close()
    _, _, _, abort, *_ = stored_batches(log())
    assert abort.is_control
    spoil(log(), abort)
    with Consumer(options, isolation_level="read_committed") as consumer:
        reader = Reader(consumer)
        turn_until(lambda: len(reader.records) == 3, reader)
    assert offsets(reader) == [0, (abort.first, abort.first + 1), 4]


class _Subscription:
    def __init__(self, name: TopicPartition, end: int) -> None:
        self.assignment = {name: type("State", (), {"highwater": end})}


def records_of(raw: bytes, end: int) -> Callable[[], _Records]:
    """Return what gives the client's records of a fetch from offset 0, each time those of a new fetch."""
    name = TopicPartition("requests", 0)
    consumer: Any = type("Consumer", (), {})()
    consumer._subscription = _Subscription(name, end)
    consumer._fetcher = type("Fetcher", (), {"_parse_fetched_data": None})()
    corruption = Corruption(consumer, Bounds(1_000_000))
    return lambda: _Records(corruption, 0, name, MemoryRecords(raw))


def three(value: bytes = b"x", codec: int = 0) -> bytes:
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 30)
    for each in (b"x", value, b"y"):
        builder.append(1, None, each, [("header", b"1")])
    builder.close()
    return bytes(builder.buffer())


def test_a_record_that_the_client_cannot_take_apart_costs_the_rest_of_its_batch() -> None:
    """Such as one that says that it is shorter than it is."""
    made = three(b"wrong length")
    broken = with_checksum(made.replace(bytes([2 * 12]) + b"wrong length", bytes([2 * 11]) + b"wrong length"))
    behind = struct.pack(">q", 3) + made[8:]
    fetched = records_of(broken + behind, end=6)
    assert fetched().take(1)[0].offset == 0
    for _ in range(2):  # what fails is fetched once more
        taken = fetched().take(5)
    assert [one.offset for one in taken] == [0, 1, 3, 4, 5]
    assert taken[1].value.next_offset == 3


def test_a_panic_while_a_batch_is_unpacked_costs_that_batch_and_an_interrupt_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class PanicException(BaseException):  # as pyo3 names it
        pass

    raised: list[BaseException] = [PanicException("index out of bounds")] * 2
    fetched = records_of(three(codec=4), end=3)

    def unpacked(*_: Any) -> Iterator[bytes]:
        raise raised.pop()

    monkeypatch.setattr("worker.kafka_io.record_batches.unpacked", unpacked)
    assert fetched().take(5) == []
    (lost,) = fetched().take(5)
    assert (lost.value.next_offset, lost.value.why) == (3, "PanicException: index out of bounds")
    for error in (KeyboardInterrupt, SystemExit):
        raised.append(error())
        with pytest.raises(error):
            fetched().take(5)


def test_a_poll_ends_with_a_record_that_was_too_large_and_the_next_one_goes_on() -> None:
    fetched = records_of(three(bytes(4_000_000), codec=4), end=3)()
    assert [one.offset for one in fetched.take(5)] == [0, 1]
    with pytest.raises(PollIsFullError):
        fetched.take(5)
    fetched._corruption.begin_poll()
    assert [one.offset for one in fetched.take(5)] == [2]


def test_what_a_poll_receives_has_a_limit_in_bytes() -> None:
    value = bytes(900_000)
    fetched = records_of(b"".join(struct.pack(">q", at * 3) + three(value)[8:] for at in range(50)), end=150)()
    received = []
    while fetched:
        fetched._corruption.begin_poll()
        taken = fetched.take(500)
        assert sum(len(one.value) for one in taken) <= 33 * 1024 * 1024
        received += [one.offset for one in taken]
    assert received == list(range(150))

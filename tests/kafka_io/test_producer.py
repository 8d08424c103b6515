"""The producer on a real broker."""

from collections.abc import Callable, Iterator
from typing import get_args

import pytest
import snappy
from kafka.codec import snappy_decode
from kafka.record import util

from tests.kafka_io.reading import Reader, turn_until
from worker.exits import Exit, StopError
from worker.kafka_io import Consumer, KafkaOptions, Producer, RecordTooLarge
from worker.kafka_io import producer_base as writer_module
from worker.kafka_io.options import Compression
from worker.records import Record

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def options(broker: str, topics: Callable[..., str]) -> KafkaOptions:
    topic = topics("results")
    return KafkaOptions(
        bootstrap_servers=broker,
        request_topic=topic,
        result_topic=topic,
        dead_letter_topic=topic,
        group_id=topic,
        session_timeout_s=6,
        max_record_bytes=100_000,
    )


@pytest.fixture(scope="module")
def producer(options: KafkaOptions) -> Iterator[Producer]:
    with Producer(options) as made:
        yield made


@pytest.fixture(scope="module")
def reader(options: KafkaOptions) -> Iterator[Reader]:
    with Consumer(options) as consumer:
        yield Reader(consumer)


class Sent:
    """Sends one record and gives its delivery and what a reader received."""

    def __init__(self, producer: Producer, options: KafkaOptions, reader: Reader) -> None:
        self._producer = producer
        self._topic = options.result_topic
        self._reader = reader

    def __call__(self, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]) -> Record:
        reports: list[Exception | None] = []
        self._producer.send(self._topic, key, value, headers, reports.append)
        assert self._producer.flush(30)
        assert reports == [None]
        before = len(self._reader.records)
        turn_until(lambda: len(self._reader.records) > before, self._reader)
        return self._reader.records[-1]


@pytest.fixture
def sent(producer: Producer, options: KafkaOptions, reader: Reader) -> Sent:
    return Sent(producer, options, reader)


def test_key_value_and_headers_arrive_as_they_were(sent: Sent) -> None:
    record = sent(b"\xff", b"\xfe", (("b", b"1"), ("a", b""), ("b", b"2")))
    assert (record.key, record.value) == (b"\xff", b"\xfe")
    assert record.headers == (("b", b"1"), ("a", b""), ("b", b"2"))


def test_a_header_without_a_value_arrives_without_one(sent: Sent) -> None:
    headers = (("null", None), ("empty", b""), ("null", b"1"), ("null", None))
    assert sent(b"k", b"v", headers).headers == headers


def test_a_record_without_key_and_value_is_sent_with_an_empty_value(sent: Sent) -> None:
    record = sent(None, None, ())
    assert (record.key, record.value) == (None, b"")


def test_a_tombstone_stays_one(sent: Sent) -> None:
    assert sent(b"k", None, ()).value is None


def test_records_of_a_key_arrive_in_the_order_they_were_sent(
    producer: Producer, options: KafkaOptions, reader: Reader
) -> None:
    reports: list[Exception | None] = []
    before = len(reader.records)
    for number in range(500):
        producer.send(options.result_topic, b"k", b"%d" % number, (), reports.append)
    assert producer.flush(30)
    assert reports == [None] * 500
    turn_until(lambda: len(reader.records) == before + 500, reader)
    assert [record.value for record in reader.records[before:]] == [b"%d" % number for number in range(500)]


def test_a_record_over_the_limit_is_refused_before_it_is_sent(producer: Producer, options: KafkaOptions) -> None:
    reports: list[Exception | None] = []
    with pytest.raises(RecordTooLarge, match="takes at most 100000 bytes"):
        producer.send(options.result_topic, None, bytes(100_001), (), reports.append)
    assert producer.flush(30)
    assert reports == []


def test_headers_count_as_they_are_sent_with_names_in_utf_8(producer: Producer, options: KafkaOptions) -> None:
    reports: list[Exception | None] = []
    for name in ("é" * 50_000, "漢" * 33_334, "\U0001f600" * 25_000):
        with pytest.raises(RecordTooLarge, match=f"got {len(name.encode()) + 10} and their frame"):
            producer.send(options.result_topic, b"k", b"v", ((name, b"1"),), reports.append)
    producer.send(options.result_topic, b"k", b"v", (("é" * 49_900, b"1"),), reports.append)
    assert producer.flush(30)
    assert reports == [None]


def test_what_the_client_refuses_is_reported_and_not_raised(producer: Producer) -> None:
    reports: list[Exception | None] = []
    producer.send("no such name", None, b"v", (), reports.append)
    assert [type(report) for report in reports] == [ValueError]


@pytest.mark.parametrize("compression", get_args(Compression))
def test_every_compression_is_written_and_read(
    compression: Compression, broker: str, topics: Callable[..., str]
) -> None:
    topic = topics("compressed")
    value = b"word " * 10_000  # more than one block of snappy
    options = KafkaOptions(
        bootstrap_servers=broker,
        request_topic=topic,
        result_topic=topic,
        dead_letter_topic=topic,
        group_id=topic,
        session_timeout_s=6,
        compression=compression,
    )
    reports: list[Exception | None] = []
    with Producer(options) as producer, Consumer(options) as consumer:
        producer.send(topic, b"k", value, (), reports.append)
        reader = Reader(consumer)
        turn_until(lambda: bool(reader.records), reader)
    assert reports == [None]
    assert reader.records[0].value == value


def test_snappy_without_blocks_is_read_too() -> None:
    """Java's producers write it in blocks with a header, librdkafka's as one piece."""
    value = b"word " * 10_000
    assert snappy_decode(memoryview(snappy.compress(value))) == value


def test_checksums_are_not_computed_in_python_which_takes_15_times_as_long() -> None:
    assert util._crc32c is util.crc32c_c is not None


@pytest.mark.apache
def test_a_producer_for_a_topic_that_does_not_exist_is_not_made(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_METADATA_WITHIN_S", 0.5)
    with pytest.raises(StopError, match="topic nowhere") as stop:
        Producer(KafkaOptions(bootstrap_servers=broker, result_topic="nowhere"))
    assert stop.value.code is Exit.TOPIC

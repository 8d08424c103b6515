"""The consumer, as a member of a group on a real broker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.coordinator.base import MemberState
from kafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError

from tests.kafka_io.reading import Reader, turn_until
from worker.jobs import Partition
from worker.kafka_io import CommitRefused, Consumer, KafkaOptions, Rebalance

pytestmark = pytest.mark.broker

Join = Callable[..., Reader]


@pytest.fixture
def options(broker: str, topics: Callable[..., str]) -> KafkaOptions:
    """Options of a group of the test's own, on a topic of two partitions."""
    topic = topics("requests", partitions=2)
    return KafkaOptions(bootstrap_servers=broker, request_topic=topic, group_id=topic, session_timeout_s=6)


@pytest.fixture
def join(options: KafkaOptions) -> Iterator[Join]:
    """Make members of the group, which leave it after the test."""
    with ExitStack() as stack:

        def make(hand_over: Callable[[Rebalance], object] | None = None, **changes: Any) -> Reader:
            return Reader(stack.enter_context(Consumer(replace(options, **changes))), hand_over)

        yield make


@pytest.fixture
def produce(broker: str, options: KafkaOptions) -> Iterator[Callable[..., None]]:
    """Send records to the request topic: `produce(partition, count)`."""
    with KafkaProducer(bootstrap_servers=broker, max_request_size=12_000_000) as producer:

        def send(partition: int = 0, count: int = 1, **record: Any) -> None:
            for number in range(count):
                given = {"key": b"key", "value": b"%d" % number, **record}
                producer.send(options.request_topic, partition=partition, **given)
            producer.flush(30)

        yield send


def owns_all(reader: Reader) -> Callable[[], bool]:
    return lambda: len(reader.owned) == 2


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
    turn_until(lambda: len(reader.consumer.lag()) == 2, reader)
    produce(0, 1)
    turn_until(lambda: bool(reader.records), reader)
    assert [record.offset for record in reader.records] == [5]


def test_joined_says_when_the_group_was_joined(join: Join) -> None:
    reader = join()
    seen = [reader.consumer.joined]
    turn_until(owns_all(reader), reader)
    seen.append(reader.consumer.joined)
    assert seen == [False, True]
    assert reader.consumer.assignment() == reader.owned


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


def test_lag_counts_what_was_not_received(join: Join, produce: Callable[..., None], options: KafkaOptions) -> None:
    zero, one = (Partition(options.request_topic, number) for number in (0, 1))
    produce(0, 10)
    reader = join()
    while len(reader.records) < 4:
        reader.turn(max_records=4)
    reader.consumer.pause_all()
    assert reader.consumer.lag()[zero] == 6
    reader.consumer.resume_all()
    turn_until(lambda: reader.consumer.lag() == {zero: 0, one: 0}, reader)


@pytest.mark.apache
def test_a_revoked_partition_is_handed_over_at_the_offset_that_was_released(
    join: Join, produce: Callable[..., None]
) -> None:
    """The poll returns while the hand-over waits; the newcomer gets nothing before it ends, and goes on there."""
    produce(0, 10)
    produce(1, 10)
    answers: list[bool] = []

    def hand_over(rebalance: Rebalance) -> None:
        assert rebalance.partitions < old.owned
        for _ in range(20):  # the main thread is free to finish its work
            new.turn()
        assert new.owned == set()
        assert new.records == []
        answers.append(rebalance.release(dict.fromkeys(rebalance.partitions, 6)))

    old = join(hand_over, session_timeout_s=300.0)
    turn_until(lambda: len(old.records) == 20, old)
    new = join(session_timeout_s=300.0)
    turn_until(lambda: bool(new.records), old, new)
    assert answers == [True]
    assert old.told == ["assigned", "revoked"]
    assert new.told == ["assigned"]
    assert len(old.owned) == len(new.owned) == 1
    assert old.owned.isdisjoint(new.owned)
    turn_until(lambda: len(new.records) == 4, old, new)
    assert [record.offset for record in new.records] == [6, 7, 8, 9]


@pytest.mark.apache
def test_a_member_that_leaves_gives_its_partitions_to_the_others_at_once(
    join: Join, produce: Callable[..., None]
) -> None:
    """With a session of 300 s, the test's own time limit shows that nobody waits for the session to end."""
    stays = join(session_timeout_s=300.0)
    leaves = join(session_timeout_s=300.0)
    turn_until(lambda: len(stays.owned) == len(leaves.owned) == 1, stays, leaves)
    leaves.consumer.close()
    leaves.consumer.close()
    assert leaves.consumer.rebalances() == []
    turn_until(owns_all(stays), stays)
    produce(0, 3)
    produce(1, 3)
    turn_until(lambda: len(stays.records) == 6, stays)


def test_a_member_that_did_not_poll_may_not_commit_and_hears_that_its_partitions_are_lost(
    join: Join, produce: Callable[..., None], options: KafkaOptions
) -> None:
    produce(0, 3)
    reader = join(max_poll_interval_s=6.0)
    turn_until(lambda: len(reader.records) == 3, reader)
    # The client leaves the group by itself.
    turn_until(lambda: reader.consumer._client.group_metadata().state == MemberState.UNJOINED)
    assert not reader.consumer.joined
    with pytest.raises(CommitRefused):
        reader.consumer.commit({Partition(options.request_topic, 0): 3})
    turn_until(lambda: reader.told.count("assigned") == 2, reader)
    assert reader.told == ["assigned", "lost", "assigned"]
    turn_until(lambda: reader.consumer.joined, reader)
    turn_until(lambda: len(reader.records) == 6, reader)
    assert [record.offset for record in reader.records] == [0, 1, 2, 0, 1, 2]


def test_a_broker_that_is_away_for_a_moment_refuses_a_commit_and_delays_a_rewind(
    join: Join, produce: Callable[..., None], options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client raises so by chance, where the coordinator goes away while its address is being looked up."""
    produce(0, 3)
    reader = join()
    turn_until(lambda: len(reader.records) == 3, reader)
    client = reader.consumer._client
    coordinator, first = client._coordinator, Partition(options.request_topic, 0)
    away: list[KafkaError] = []

    def at_last(call: Callable[..., Any]) -> Callable[..., Any]:
        def fail_or_call(*arguments: Any, **settings: Any) -> Any:
            if away:
                raise away.pop()
            return call(*arguments, **settings)

        return fail_or_call

    monkeypatch.setattr(client, "commit", at_last(client.commit))
    monkeypatch.setattr(coordinator, "fetch_committed_offsets", at_last(coordinator.fetch_committed_offsets))
    for error in (KafkaConnectionError("111 ECONNREFUSED"), NodeNotReadyError("coordinator")):
        away = [error]
        with pytest.raises(CommitRefused, match=type(error).__name__):
            reader.consumer.commit({first: 3})
    away = [NodeNotReadyError("coordinator"), KafkaConnectionError("111 ECONNREFUSED")]
    reader.consumer.rewind({first: 1})
    turn_until(lambda: len(reader.records) == 5, reader)
    assert [record.offset for record in reader.records] == [0, 1, 2, 1, 2]


def test_a_hand_over_that_the_group_refuses_says_so(join: Join, produce: Callable[..., None]) -> None:
    answers: list[bool] = []

    def hand_over(rebalance: Rebalance) -> None:
        old.consumer._client._coordinator.maybe_leave_group()
        answers.append(rebalance.release(dict.fromkeys(rebalance.partitions, 1)))

    produce(0, 3)
    old = join(hand_over)
    turn_until(owns_all(old), old)
    new = join()
    turn_until(lambda: bool(answers), old, new)
    assert answers == [False]

"""Where a group that is to begin at the end begins, and what is said of positions that jump."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import NodeNotReadyError

from tests.kafka_io.reading import Join, Reader, turn_until
from worker.kafka_io import PositionJump
from worker.kafka_io.initial_offsets import is_added
from worker.records import Partition

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from worker.kafka_io import KafkaOptions

pytestmark = pytest.mark.broker


def _committed(options: KafkaOptions) -> dict[int, int | None]:
    with KafkaConsumer(bootstrap_servers=options.bootstrap_servers, group_id=options.group_id) as asking:
        return {number: asking.committed(TopicPartition(options.request_topic, number)) for number in (0, 1)}


def _commit(options: KafkaOptions, offsets: dict[int, int]) -> None:
    with KafkaConsumer(bootstrap_servers=options.bootstrap_servers, group_id=options.group_id) as member:
        names = {number: TopicPartition(options.request_topic, number) for number in offsets}
        member.assign(list(names.values()))
        member.commit({names[number]: OffsetAndMetadata(offset, "", -1) for number, offset in offsets.items()})


def _ready(reader: Reader) -> None:
    """Turn until both partitions have a position."""
    turn_until(lambda: [p.position is not None for p in reader.consumer.places().values()] == [True, True], reader)


def test_what_comes_after_a_group_has_begun_at_the_end_is_read_by_its_next_member(
    join: Join, produce: Callable[..., None], options: KafkaOptions
) -> None:
    produce(0, 3)
    first = join(auto_offset_reset="latest")
    _ready(first)
    assert first.records == []
    assert _committed(options) == {0: 3, 1: 0}  # though nothing was done
    first.consumer.close()
    produce(0, 2)
    produce(1, 1)
    second = join(auto_offset_reset="latest")
    turn_until(lambda: len(second.records) == 3, second)
    assert sorted((one.partition.number, one.offset) for one in second.records) == [(0, 3), (0, 4), (1, 0)]


def test_nothing_is_begun_before_its_beginning_is_committed(
    join: Join, produce: Callable[..., None], options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(0, 3)
    reader = join(auto_offset_reset="latest")
    coordinator = reader.consumer._client._coordinator
    commit, failures = coordinator.commit_offsets_sync, [NodeNotReadyError("coordinator") for _ in range(3)]

    def fail_at_first(*given: Any, **settings: Any) -> Any:
        if failures:
            produce(0, 1)
            raise failures.pop()
        return commit(*given, **settings)

    monkeypatch.setattr(coordinator, "commit_offsets_sync", fail_at_first)
    _ready(reader)
    assert not failures
    assert _committed(options) == {0: 6, 1: 0}
    assert reader.records == []


def test_a_partition_without_a_commit_in_a_group_with_one_begins_at_its_earliest_record(
    join: Join, produce: Callable[..., None], options: KafkaOptions
) -> None:
    produce(0, 3)
    produce(1, 2)
    _commit(options, {0: 3})
    reader = join(auto_offset_reset="latest")
    turn_until(lambda: len(reader.records) == 2, reader)
    assert [(one.partition.number, one.offset) for one in reader.records] == [(1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("number", "committed", "added"),
    [
        (2, {}, False),
        (2, {0: "", 1: ""}, True),
        (2, {0: "began with 3 partitions"}, False),
        (2, {0: "began with 2 partitions"}, True),
        (2, {0: "began with 3 partitions", 1: ""}, True),
    ],
)
def test_a_partition_was_added_if_the_group_has_committed_others_but_for_those_that_began_beside_it(
    number: int, committed: dict[int, str], *, added: bool
) -> None:
    assert is_added(number, committed) is added


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_an_offset_that_has_expired_or_lies_behind_the_end_goes_on_at_the_earliest_record_and_that_is_told(
    join: Join, produce: Callable[..., None], options: KafkaOptions, apache_kafka: str, reset: str
) -> None:
    produce(0, 30)
    produce(1, 5)
    _commit(options, {0: 10, 1: 500})
    with KafkaAdminClient(bootstrap_servers=apache_kafka) as admin:
        admin.delete_records({TopicPartition(options.request_topic, 0): 20})
    reader = join(auto_offset_reset=reset)
    turn_until(lambda: len(reader.records) == 15, reader)
    offsets = {number: [r.offset for r in reader.records if r.partition.number == number] for number in (0, 1)}
    assert offsets == {0: list(range(20, 30)), 1: list(range(5))}
    topic = options.request_topic
    assert sorted(reader.consumer.jumps()) == [
        PositionJump(Partition(topic, 0), 10, 20),
        PositionJump(Partition(topic, 1), 500, 0),
    ]
    reader.consumer.rewind({Partition(topic, 0): 20})
    turn_until(lambda: len(reader.records) > 15, reader)
    assert [jump.from_offset for jump in reader.consumer.jumps()] == [10]  # the group's offset is still that one

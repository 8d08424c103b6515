"""Members that go on with their partitions while a join of the group waits for one that does not answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient
from kafka.coordinator.base import MemberState

from tests.kafka_io.reading import Join, Reader, turn_until
from worker.kafka_io import CommitRefused, KafkaOptions, TransactionalProducer, record_limits
from worker.records import Partition

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.apache, pytest.mark.broker]

HANGS_S = 300.0  # between two polls: the test's own time limit shows that nobody waits for so long


def _members(options: KafkaOptions) -> int:
    with KafkaAdminClient(bootstrap_servers=options.bootstrap_servers) as admin:
        (found,) = admin.describe_groups([options.group_id]).values()
        return len(found["members"])


def _is_settled(*readers: Reader) -> bool:
    clients = [reader.consumer._client for reader in readers]
    return all(client.group_metadata().state == MemberState.STABLE for client in clients) and not any(
        client._coordinator.need_rejoin() for client in clients
    )


def _has_received(reader: Reader, count: int) -> bool:
    return len(reader.records) == count


def _hung(join: Join) -> tuple[Reader, Reader, Reader]:
    """Return a member that hangs while its heartbeats go on, one that is well, and a newcomer whose join waits."""
    hangs, well = (join(session_timeout_s=6.0, max_poll_interval_s=HANGS_S) for _ in range(2))
    turn_until(lambda: len(hangs.owned) == len(well.owned) == 1 and _is_settled(hangs, well), hangs, well)
    new = join(session_timeout_s=6.0, max_poll_interval_s=HANGS_S)
    turn_until(lambda: well.consumer._joins.left_behind() is not None, well, new)
    return hangs, well, new


def test_a_member_receives_and_commits_while_a_join_waits_for_one_that_hangs_and_that_ends_with_its_session(
    join: Join, produce: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, well, new = _hung(join)
    joins = well.consumer._joins
    before = joins.left_behind()
    (mine,), (name,), told = well.owned, well.consumer._client.assignment(), list(well.told)
    for count in (3, 8):
        produce(mine.number, count - len(well.records))
        turn_until(partial(_has_received, well, count), well, new)
        well.consumer.commit(well.next_offsets())
    assert well.consumer._joins.left_behind() is not None
    assert new.owned == set()
    turn_until(lambda: len(new.owned) == 1, well, new)  # what the one that hangs had
    assert well.told == told
    monkeypatch.setattr(joins, "left_behind", lambda: before)  # as of a commit that comes when the join has ended
    with pytest.raises(CommitRefused, match="IllegalGeneration"):
        well.consumer.commit({mine: 9})
    monkeypatch.undo()
    assert well.consumer.joined
    assert well.consumer._offsets.committed([name])[name].offset == 8


def test_a_member_that_leaves_while_a_join_waits_is_heard_at_once(join: Join, options: KafkaOptions) -> None:
    _, well, new = _hung(join)
    new.consumer.close()
    turn_until(lambda: _members(options) == 2, well)
    assert well.consumer._joins.left_behind() is not None


def test_a_transaction_is_committed_while_a_join_waits(
    join: Join, produce: Callable[..., None], options: KafkaOptions, topics: Callable[..., str]
) -> None:
    _, well, new = _hung(join)
    (mine,) = well.owned
    produce(mine.number, 3)
    turn_until(lambda: len(well.records) == 3, well, new)
    writes = replace(options, result_topic=topics("results"), dead_letter_topic=topics("dead-letters"))
    producer = TransactionalProducer(
        writes, transactional_id=options.group_id, timeout_s=10, limits=record_limits(writes)
    )
    producer.send(writes.result_topic, b"k", b"v", ())

    def is_committed() -> bool:
        with well.consumer.membership() as group:
            if group is not None:
                producer.commit(well.next_offsets(), group)
        return group is not None

    turn_until(is_committed, well, new)
    assert well.consumer._joins.left_behind() is not None
    producer.close()


def test_nothing_is_received_of_partitions_that_others_have_been_given(
    join: Join, produce: Callable[..., None], options: KafkaOptions
) -> None:
    """The one that hung goes on when its partition has a new owner: it hears so, and reads nothing of it."""
    hangs, well, new = _hung(join)
    (lost,) = hangs.owned
    turn_until(lambda: len(new.owned) == 1, well, new)
    produce(lost.number, 3)
    turn_until(lambda: len(new.records) == 3, well, new)
    turn_until(lambda: "lost" in hangs.told, hangs, well, new)
    assert hangs.records == []
    assert Partition(options.request_topic, lost.number) in new.owned | well.owned | hangs.owned

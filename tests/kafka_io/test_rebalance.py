"""Partitions that come and go, in a group of real members."""

from collections.abc import Callable

import pytest
from kafka.coordinator.base import MemberState

from tests.kafka_io.reading import Join, owns_all, turn_until
from worker.kafka_io import CommitRefused, KafkaOptions, Rebalance
from worker.records import Partition

pytestmark = pytest.mark.broker


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

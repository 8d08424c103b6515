"""Members with a name of their own: they keep their partitions through a restart, and there is one of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.coordinator.base import MemberState

from tests.kafka_io.reading import Reader, turn_until
from worker.exits import Exit, StopError
from worker.kafka_io import Consumer, KafkaOptions, TransactionalProducer, record_limits
from worker.records import Partition

pytestmark = [pytest.mark.apache, pytest.mark.broker]

Join = Callable[..., Reader]


@pytest.fixture
def options(apache_kafka: str, topics: Callable[..., str]) -> KafkaOptions:
    topic = topics("requests", partitions=4)
    return KafkaOptions(bootstrap_servers=apache_kafka, request_topic=topic, group_id=topic, session_timeout_s=60)


@pytest.fixture
def join(options: KafkaOptions) -> Iterator[Join]:
    with ExitStack() as stack:

        def make(name: str, **changes: Any) -> Reader:
            named = replace(options, group_instance_id=name, **changes)
            return Reader(stack.enter_context(Consumer(named)))

        yield make


def generation(reader: Reader) -> int:
    return int(reader.consumer._client.group_metadata().generation_id)


@pytest.mark.parametrize("restarted", [0, 1])
def test_a_restart_keeps_the_partitions_and_the_others_notice_nothing(
    join: Join, options: KafkaOptions, restarted: int
) -> None:
    """Whichever of the two leads the group."""
    members = [join("a"), join("b")]
    turn_until(lambda: len(members[0].owned) == len(members[1].owned) == 2, *members)
    before, stays = members[restarted], members[1 - restarted]
    owned, told, settled = set(before.owned), list(stays.told), generation(stays)
    before.consumer.commit(dict.fromkeys(owned, 0))
    before.consumer.close()
    after = join("ab"[restarted])
    turn_until(lambda: after.owned == owned, after, stays)
    with KafkaProducer(bootstrap_servers=options.bootstrap_servers) as producer:
        for number in range(4):
            producer.send(options.request_topic, b"x", partition=number)
        producer.flush(30)
    turn_until(lambda: len(after.records) == len(stays.records) == 2, after, stays)
    assert generation(after) == generation(stays) == settled
    assert stays.told == told
    assert after.told == ["assigned"]
    after.consumer.commit(after.next_offsets())


@pytest.mark.parametrize("restarted", [0, 1])
def test_partitions_that_are_added_after_a_restart_are_found(join: Join, options: KafkaOptions, restarted: int) -> None:
    members = [join("a"), join("b")]
    turn_until(lambda: len(members[0].owned) == len(members[1].owned) == 2, *members)
    members[restarted].consumer.close()
    members[restarted] = join("ab"[restarted])
    turn_until(lambda: len(members[restarted].owned) == 2, *members)
    with KafkaAdminClient(bootstrap_servers=options.bootstrap_servers) as admin:
        admin.create_partitions({options.request_topic: 6})
    for member in members:
        member.consumer._client._cluster.request_update()  # which comes every five minutes by itself
    turn_until(lambda: len(members[0].owned) == len(members[1].owned) == 3, *members)
    assert members[0].owned.isdisjoint(members[1].owned)


def test_a_member_that_does_not_come_back_is_replaced_when_its_session_ends(join: Join) -> None:
    goes, stays = join("goes", session_timeout_s=6), join("stays", session_timeout_s=6)
    turn_until(lambda: len(goes.owned) == len(stays.owned) == 2, goes, stays)
    goes.consumer.close()
    turn_until(lambda: len(stays.owned) == 4, stays)


@pytest.mark.parametrize("goes_first", [True, False])
def test_a_member_that_is_asked_to_stop_hands_its_partitions_over_and_has_its_share_when_it_is_back(
    join: Join, options: KafkaOptions, goes_first: bool
) -> None:
    """With a session of 300 s: the test's own time limit shows that nobody waits for it to end."""
    members = [join(name, session_timeout_s=300) for name in "ab"]
    turn_until(lambda: len(members[0].owned) == len(members[1].owned) == 2, *members)
    goes, stays = members if goes_first else reversed(members)
    revoked = stays.told.count("revoked")
    goes.consumer.asked_to_stop()
    goes.consumer.close()
    turn_until(lambda: len(stays.owned) == 4, stays)
    back = join("a" if goes_first else "b", session_timeout_s=300)
    turn_until(lambda: len(back.owned) == len(stays.owned) == 2, back, stays)
    assert back.told == ["assigned"]
    assert stays.told.count("revoked") == revoked + 1
    with KafkaAdminClient(bootstrap_servers=options.bootstrap_servers) as admin:
        (found,) = admin.describe_groups([options.group_id]).values()
    assert sorted(member["group_instance_id"] for member in found["members"]) == ["a", "b"]


def test_a_member_that_is_told_to_stay_keeps_its_place_when_it_is_asked_to_stop(join: Join) -> None:
    goes, stays = join("goes", on_stop="stay"), join("stays")
    turn_until(lambda: len(goes.owned) == len(stays.owned) == 2, goes, stays)
    settled, told = generation(stays), list(stays.told)
    goes.consumer.asked_to_stop()
    goes.consumer.close()
    back = join("goes")
    turn_until(lambda: len(back.owned) == 2, back, stays)
    assert generation(back) == generation(stays) == settled
    assert stays.told == told


def test_of_two_processes_with_one_name_the_first_ends_and_says_why_although_it_has_nothing_to_do(
    join: Join, options: KafkaOptions
) -> None:
    first = join("same")
    turn_until(lambda: len(first.owned) == 4, first)
    second = join("same")
    turn_until(lambda: len(second.owned) == 4, second)
    with pytest.raises(StopError, match=f"group instance id same was taken: .* group {options.group_id}") as raised:
        turn_until(lambda: False, first, second)
    assert raised.value.code is Exit.FENCED
    with pytest.raises(RuntimeError, match="poll after an error"):
        first.consumer.poll(0, 1)
    second.consumer.commit(dict.fromkeys(second.owned, 0))


def test_what_the_first_of_two_commits_is_refused_for_good(join: Join, options: KafkaOptions) -> None:
    first = join("same")
    turn_until(lambda: len(first.owned) == 4, first)
    second = join("same")
    turn_until(lambda: len(second.owned) == 4, second)
    with pytest.raises(StopError) as raised:
        first.consumer.commit({Partition(options.request_topic, 0): 0})
    assert raised.value.code is Exit.FENCED


def test_a_transaction_of_the_first_of_two_fails_for_good(join: Join, options: KafkaOptions) -> None:
    named = replace(options, result_topic=options.request_topic, dead_letter_topic=options.request_topic)
    first = join("same")
    turn_until(lambda: len(first.owned) == 4, first)
    place = first.consumer._client.group_metadata()
    second = join("same")
    turn_until(lambda: len(second.owned) == 4, second)
    producer = TransactionalProducer(
        named, transactional_id=options.group_id, timeout_s=10, limits=record_limits(named)
    )
    producer.send(named.result_topic, b"k", b"never", ())
    with pytest.raises(StopError, match="group instance id") as raised:
        producer.commit({Partition(options.request_topic, 0): 1}, place)
    assert raised.value.code is Exit.FENCED
    producer.close()


def test_a_member_that_did_not_poll_comes_back_to_its_partitions(join: Join, options: KafkaOptions) -> None:
    slow = join("slow", max_poll_interval_s=6.0)
    turn_until(lambda: len(slow.owned) == 4, slow)
    turn_until(lambda: slow.consumer._client.group_metadata().state == MemberState.UNJOINED)
    turn_until(lambda: len(slow.owned) == 4 and slow.told.count("assigned") == 2, slow)
    assert slow.told == ["assigned", "lost", "assigned"]
    slow.consumer.commit({Partition(options.request_topic, 0): 0})


def test_the_group_knows_its_members_by_name(join: Join, options: KafkaOptions) -> None:
    reader = join("rerank-worker-0")
    turn_until(lambda: len(reader.owned) == 4, reader)
    with KafkaAdminClient(bootstrap_servers=options.bootstrap_servers) as admin:
        (found,) = admin.describe_groups([options.group_id]).values()
    assert [member["group_instance_id"] for member in found["members"]] == ["rerank-worker-0"]

"""The group's offsets, where its coordinator is away for a moment."""

from collections.abc import Callable
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.coordinator.base import Generation
from kafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError
from kafka.future import Future

from tests.kafka_io.reading import Join, turn_until
from worker.kafka_io import CommitRefused, KafkaOptions, PendingCommit
from worker.kafka_io import group_offsets as offsets_module
from worker.records import Partition

pytestmark = pytest.mark.broker


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


def test_records_come_while_the_coordinator_is_not_known_and_does_not_answer(
    join: Join, produce: Callable[..., None], options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = join()
    turn_until(lambda: len(reader.owned) == 2, reader)
    first, coordinator = Partition(options.request_topic, 0), reader.consumer._client._coordinator
    monkeypatch.setattr(coordinator, "lookup_coordinator", Future)  # asked, and never answered
    monkeypatch.setattr(coordinator, "_send_heartbeat_request", Future)
    coordinator.coordinator_id = None
    produce(0, 3)
    turn_until(lambda: len(reader.records) == 3, reader)
    commit = reader.consumer.begin_commit({first: 3})
    turn_until(lambda: commit.answered, reader)
    with pytest.raises(CommitRefused, match="CoordinatorNotAvailable"):
        commit.check()


def test_one_commit_is_on_its_way_at_most_and_a_hand_over_waits_for_it(
    join: Join, options: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = join()
    turn_until(lambda: len(reader.owned) == 2, reader)
    first, coordinator = Partition(options.request_topic, 0), reader.consumer._client._coordinator
    answers: list[Future] = []
    send = coordinator._send_offset_commit_request

    async def send_late(offsets: dict[Any, Any]) -> None:
        answers.append(Future())
        await answers[-1]
        await send(offsets)

    monkeypatch.setattr(coordinator, "_send_offset_commit_request", send_late)
    monkeypatch.setattr(offsets_module, "_COMMIT_WITHIN_S", 0.3)
    pending = reader.consumer.begin_commit({first: 1})
    with pytest.raises(RuntimeError, match="on its way"):
        reader.consumer.begin_commit({first: 2})
    with pytest.raises(CommitRefused, match="no answer"):
        reader.consumer.commit({first: 2})
    assert len(answers) == 1  # the later one was not sent beside it
    monkeypatch.setattr(coordinator, "_send_offset_commit_request", send)
    reader.consumer._client._manager.call_soon(lambda: answers[0].success(None))
    reader.consumer.commit({first: 2})
    pending.check()
    assert reader.consumer._offsets.committed([TopicPartition(*first)])[TopicPartition(*first)].offset == 2


def test_a_commit_that_a_join_has_overtaken_is_refused(join: Join, options: KafkaOptions) -> None:
    reader = join()
    turn_until(lambda: len(reader.owned) == 2, reader)
    offsets = reader.consumer._offsets
    former = Generation(1, "somebody", None)
    offsets._pending = offsets._manager.call_soon(offsets._send, {}, former)
    commit = PendingCommit(offsets._pending, options)
    turn_until(lambda: commit.answered, reader)
    with pytest.raises(CommitRefused, match="another place in the group"):
        commit.check()

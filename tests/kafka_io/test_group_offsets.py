"""The group's offsets, where its coordinator is away for a moment."""

from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError

from tests.kafka_io.reading import Join, turn_until
from worker.jobs import Partition
from worker.kafka_io import CommitRefused, KafkaOptions

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

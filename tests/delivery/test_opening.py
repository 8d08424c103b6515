"""A worker that starts ends what its predecessor has left open, before anything else takes its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition

from worker.delivery import DeliveryOptions, end_left_open
from worker.kafka_io import KafkaOptions, TopicSettings, TransactionalProducer
from worker.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable

NO_SETTINGS = TopicSettings({}, {}, {})


@pytest.mark.apache
@pytest.mark.broker
@pytest.mark.parametrize("name", ["mine", None])
def test_a_transaction_that_a_killed_predecessor_has_left_open_is_ended(
    apache_kafka: str, topics: Callable[..., str], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, letters = topics("results"), topics("letters")
    monkeypatch.setattr("socket.gethostname", lambda: "pod-0")
    kafka = KafkaOptions(bootstrap_servers=apache_kafka, result_topic=topic, dead_letter_topic=letters, group_id=topic)
    mine = None if name is None else f"{topic}-{name}"
    delivery = DeliveryOptions(delivery="exactly-once", transactional_id=mine)
    settings = replace(load({}, {}), kafka=kafka, delivery=delivery)
    predecessor = TransactionalProducer(
        kafka, transactional_id=mine or f"{topic}-pod-0", timeout_s=600, limits={topic: 1_000_000}
    )
    predecessor.send(topic, b"k", b"v", ())
    predecessor.settle()
    place = TopicPartition(topic, 0)
    with KafkaConsumer(bootstrap_servers=apache_kafka, isolation_level="read_committed") as reader:
        assert reader.end_offsets([place])[place] == 0
        end_left_open(settings, NO_SETTINGS)
        assert reader.end_offsets([place])[place] == 2  # the record, and the mark that it is none
    predecessor.close(0)


def test_at_least_once_there_is_nothing_to_end() -> None:
    end_left_open(load({"bootstrap_servers": "nobody.invalid:9"}, {}), NO_SETTINGS)

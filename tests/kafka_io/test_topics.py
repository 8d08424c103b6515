"""The check of the topics at the start."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient

from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions, check_compaction, check_topics, record_limits
from worker.kafka_io.connect import connect

pytestmark = pytest.mark.broker


@pytest.fixture
def options(broker: str) -> KafkaOptions:
    own = uuid.uuid4().hex[:8]
    return KafkaOptions(
        bootstrap_servers=broker,
        request_topic=f"in-{own}",
        result_topic=f"out-{own}",
        dead_letter_topic=f"dead-{own}",
        topic_partitions=3,
    )


def with_creation(options: KafkaOptions) -> KafkaOptions:
    return KafkaOptions(
        bootstrap_servers=options.bootstrap_servers,
        request_topic=options.request_topic,
        result_topic=options.result_topic,
        dead_letter_topic=options.dead_letter_topic,
        topic_partitions=options.topic_partitions,
        create_topics=True,
    )


def test_one_error_names_every_missing_topic_and_the_flag(options: KafkaOptions, admin: KafkaAdminClient) -> None:
    admin.create_topics({options.result_topic: {"num_partitions": 1, "replication_factor": 1}})
    with pytest.raises(StopError) as stop:
        check_topics(options)
    assert stop.value.code is Exit.TOPIC
    said = str(stop.value)
    assert options.request_topic in said
    assert options.dead_letter_topic in said
    assert options.result_topic not in said
    assert "--create-topics" in said
    assert options.request_topic not in admin.list_topics()
    admin.delete_topics([options.result_topic])


def test_missing_topics_are_made_where_that_was_asked_for_and_may_be_there_already(
    options: KafkaOptions, admin: KafkaAdminClient
) -> None:
    names = [options.request_topic, options.result_topic, options.dead_letter_topic]
    check_topics(with_creation(options))
    check_topics(with_creation(options))
    check_topics(options)
    assert [len(topic["partitions"]) for topic in admin.describe_topics(names)] == [3, 3, 3]
    admin.delete_topics(names)


@pytest.mark.apache
def test_one_connection_answers_all_that_is_asked_at_the_start(
    apache_kafka: str, topics: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        topics("small", settings={"max.message.bytes": "5000"}),
        topics("compacted", settings={"cleanup.policy": "compact"}),
    ]
    opened: list[type] = []

    def noted(make: type, *given: Any, **settings: Any) -> Any:
        opened.append(make)
        return connect(make, *given, **settings)

    for module in ("topics", "topic_settings"):
        monkeypatch.setattr(f"worker.kafka_io.{module}.connect", noted)
    options = KafkaOptions(
        bootstrap_servers=apache_kafka, request_topic=names[0], result_topic=names[0], dead_letter_topic=names[1]
    )
    settings = check_topics(options)
    with pytest.raises(StopError):
        check_compaction(options, settings)
    assert record_limits(options, settings) == {names[0]: 5000, names[1]: options.max_record_bytes}
    assert settings.policies == {names[0]: "delete", names[1]: "compact"}
    assert settings.unsaid == {}
    assert opened == [KafkaAdminClient]

"""Whether results and dead letters may be without a key is known at the start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from worker.exits import Exit, StopError
from worker.kafka_io import (
    KafkaOptions,
    KeyWanted,
    KeyWantedInTransaction,
    Producer,
    TransactionalProducer,
    check_compaction,
    check_topics,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kafka_io.conftest import SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.apache]


@pytest.fixture(scope="module")
def plain(apache_kafka: str, topics: Callable[..., str]) -> KafkaOptions:
    topic = topics("plain")
    return KafkaOptions(
        bootstrap_servers=apache_kafka, request_topic=topic, result_topic=topic, dead_letter_topic=topic
    )


@pytest.fixture(scope="module", params=["compact", "compact,delete"])
def compacted(request: pytest.FixtureRequest, topics: Callable[..., str]) -> str:
    return topics("compacted", settings={"cleanup.policy": request.param})


def test_topics_that_are_not_compacted_are_taken(plain: KafkaOptions) -> None:
    check_compaction(plain, check_topics(plain))


@pytest.mark.parametrize("option", ["result_topic", "dead_letter_topic"])
def test_a_compacted_topic_is_refused_with_one_line_unless_what_has_no_key_gets_one(
    plain: KafkaOptions, compacted: str, option: str
) -> None:
    changed: dict[str, Any] = {option: compacted}
    options = replace(plain, **changed)
    with pytest.raises(StopError) as stop:
        check_compaction(options, check_topics(options))
    said = str(stop.value)
    assert stop.value.code is Exit.TOPIC
    assert f"of {compacted}; " in said
    assert "--key-for-keyless request_id" in said
    assert "\n" not in said
    check_compaction(replace(options, key_for_keyless="request_id"), check_topics(options))


def test_where_the_broker_may_not_say_it_that_is_a_warning(
    secure_broker: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    options = secure_broker.scram()
    check_compaction(options, check_topics(options))
    assert [getattr(record, "event", None) for record in caplog.records if record.levelname == "WARNING"] == [
        "policies_unknown"
    ]


def test_a_record_that_the_broker_refuses_for_want_of_a_key_says_what_to_set(
    plain: KafkaOptions, compacted: str
) -> None:
    reports: list[Exception | None] = []
    beside: list[Exception | None] = []
    with Producer(replace(plain, result_topic=compacted)) as producer:
        producer.send(compacted, b"key", b"v", (), reports.append)
        assert producer.flush(30)
        producer.send(compacted, None, b"v", (), reports.append)
        producer.flush(30)
        producer.send(compacted, b"key", b"v", (), beside.append)  # the client cannot go on
    taken, refused = reports
    assert taken is None
    assert isinstance(refused, KeyWanted)
    assert refused.topic == compacted
    assert "--key-for-keyless request_id" in str(refused)
    assert [type(each) for each in beside] == [KeyWanted]


def test_a_transaction_that_fails_for_want_of_a_key_names_the_topic(plain: KafkaOptions, compacted: str) -> None:
    options = replace(plain, result_topic=compacted)
    producer = TransactionalProducer(
        options,
        transactional_id=compacted,
        timeout_s=10,
        limits={compacted: 1_000_000, plain.dead_letter_topic: 1_000_000},
    )
    producer.send(plain.dead_letter_topic, None, b"v", ())
    producer.send(compacted, b"key", b"v", ())
    producer.send(compacted, None, b"v", ())
    with pytest.raises(KeyWantedInTransaction) as caught:
        producer.settle()
    assert caught.value.topic == compacted
    producer.close()

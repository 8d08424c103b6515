"""Requests without a key, where results and dead letters go to compacted topics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from tests.integration.line import event
from worker.dead_letters import read
from worker.exits import Exit
from worker.jobs import Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from kafka import KafkaAdminClient

    from tests.integration.line import Line

pytestmark = [pytest.mark.broker, pytest.mark.apache]


def test_compacted_topics_are_refused_at_the_start_unless_results_and_dead_letters_without_a_key_get_one(
    line: Line, topics: Callable[..., str]
) -> None:
    results, letters = (topics(name, settings={"cleanup.policy": "compact"}) for name in ("results", "letters"))
    given: dict[str, Any] = {
        "module": "tests.integration.light_worker",
        "result_topic": results,
        "dead_letter_topic": letters,
    }
    refused = line.start(wait=False, **given)
    assert refused.wait(120) == Exit.TOPIC
    assert f"cleanup.policy=compact of {results} and {letters}" in refused.tail().splitlines()[-1]
    worker = line.start(**given, key_for_keyless="request_id")
    sent = line.publish([event(1), b"no JSON"], key=None)
    sent += line.publish([event(2)], key=b"own")
    assert {(found.key, json.loads(found.value)["request_id"]) for found in line.read(results, 2)} == {
        (b"r1", "r1"),
        (b"own", "r2"),
    }
    for found in line.read(letters, 1):
        letter = read(
            Record(Partition(letters, 0), found.offset, found.timestamp, found.key, found.value, tuple(found.headers))
        )
        assert found.key == f"{line.requests}/{letter.partition.number}/{letter.offset}".encode()
        assert letter.key is None
        assert letter.value == b"no JSON"
    worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_topics_that_turn_out_to_be_compacted_cost_requests_without_a_key_their_results_and_nothing_else(
    line: Line, admin: KafkaAdminClient, delivery: str
) -> None:
    """As they do where the worker may not ask for their settings at the start."""
    worker = line.start(module="tests.integration.light_worker", delivery=delivery)
    for topic in (line.results, line.dead_letters):
        compact = ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": "compact"})
        admin.alter_configs([compact])
    sent = line.publish([event(1)], key=b"own", partition=0)
    sent += line.publish([event(2), b"no JSON", event(3)], key=None, partition=0)
    sent += line.publish([event(4)], key=b"own", partition=0)
    worker.until("all are committed", lambda: (line.committed()[0] or 0) >= len(sent))
    committed: dict[str, Any] = {"isolation_level": "read_committed"}
    results = [json.loads(found.value)["request_id"] for found in line.read(line.results, 2, **committed)]
    assert set(results) == {"r1", "r4"}
    letters = {}
    for found in line.read(line.dead_letters, 3, **committed):
        place = Partition(line.dead_letters, 0)
        letter = read(Record(place, found.offset, found.timestamp, found.key, found.value, tuple(found.headers)))
        letters[letter.offset] = (letter.reason, letter.key, found.key is None)
    assert letters == {
        1: ("no_key", None, False),
        2: ("not_json", None, False),
        3: ("no_key", None, False),
    }
    assert worker.tail().count("refuses records without a key") == 2
    assert "--key-for-keyless request_id" in worker.tail()
    assert worker.stop() == Exit.OK

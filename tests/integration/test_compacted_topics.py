"""Requests without a key, where results and dead letters go to compacted topics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import event
from worker.dead_letters import read
from worker.exits import Exit
from worker.records import Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable

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

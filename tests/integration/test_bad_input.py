"""Bad input of every kind becomes a dead letter, and the stream goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.bad_input import BAD
from tests.integration.line import event
from worker.dead_letters import read
from worker.exits import Exit
from worker.records import Partition, Record

if TYPE_CHECKING:
    from kafka.consumer.fetcher import ConsumerRecord

    from tests.integration.line import Line

pytestmark = pytest.mark.broker


def _as_record(found: ConsumerRecord) -> Record:
    partition = Partition(found.topic, found.partition)
    return Record(partition, found.offset, found.timestamp, found.key, found.value, tuple(found.headers))


def test_every_kind_of_bad_input_is_kept_with_its_reason_and_the_rest_is_reranked(line: Line) -> None:
    worker = line.start()
    values = [value for value, _ in BAD.values()]
    sent = line.publish([event(1), *values, event(2)], headers=[("x", b"1"), ("traceparent", b"00-1")])
    results = line.read(line.results, 2)
    assert {json.loads(result.value)["request_id"] for result in results} == {"r1", "r2"}
    letters = {}
    for found in line.read(line.dead_letters, len(BAD)):
        letter = read(_as_record(found))
        letters[letter.partition.number, letter.offset] = letter
        assert letter.headers == [("x", b"1"), ("traceparent", b"00-1")]
        assert letter.message
    assert len(letters) == len(BAD)
    for (value, reason), place in zip(BAD.values(), sent[1:-1], strict=True):
        assert (letters[place].value, letters[place].reason) == (value, reason)
    worker.until("all are counted", lambda: worker.metric("rerank_dead_letters_total") == len(BAD))
    worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(BAD) + 2)


@pytest.mark.apache  # the embedded broker has a limit of its own
def test_a_record_of_10_mb_becomes_a_dead_letter_without_it_where_the_topic_refuses_that(line: Line) -> None:
    line.start()
    big = json.dumps(event(1, metadata="x" * 10_000_000)).encode()
    ((partition, offset), _) = line.publish([big, event(2)])
    assert len(line.read(line.results, 1)) == 1
    letter = read(_as_record(line.read(line.dead_letters, 1)[0]))
    assert (letter.partition, letter.offset) == (Partition(line.requests, partition), offset)
    assert letter.reason == "too_large"
    assert letter.message == f"event: expected at most 4194304 bytes, got {len(big)}"
    assert letter.value is None
    assert (letter.value_dropped or "").startswith(f"bytes={len(big)} sha256=")


def test_a_dead_letter_topic_that_is_missing_stops_the_worker_before_it_reads(line: Line) -> None:
    worker = line.start(wait=False, dead_letter_topic="no-such-topic")
    assert worker.wait(120) == Exit.TOPIC
    assert "no-such-topic" in worker.tail()

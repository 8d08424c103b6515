"""What cannot be read of the topics that the tools read, or not within their memory, is named and passed over."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from tests.tools.conftest import rerank_worker
from tests.tools.letters.making import a_letter
from tests.tools.test_watch import result
from worker.exits import Exit
from worker.jobs import Corrupt, Dropped, Partition, Record, Refused
from worker.kafka_io import KafkaOptions
from worker.tools.tail import Tail
from worker.tools.unreadable import unreadable

if TYPE_CHECKING:
    from tests.integration.line import Line

GIANT = bytes(64 * 1024 * 1024)


def _record(**more: Corrupt | Refused) -> Record:
    return Record(Partition("results", 2), 5, -1, None, None, (), **more)  # type: ignore[arg-type]


def test_it_is_named_by_topic_partition_and_offsets() -> None:
    assert unreadable(_record(corrupt=Corrupt(9, "bad crc"))) == "results[2] offsets 5 to 8 cannot be read: bad crc"
    dropped = Refused("too_large", "expected less", None, 5, Dropped("bytes=9 codec=zstd"))
    assert unreadable(_record(refused=dropped)) == (
        "results[2] offset 5 cannot be read: expected less (bytes=9 codec=zstd)"
    )
    assert unreadable(_record(refused=dropped._replace(dropped=None))) is None
    assert unreadable(_record()) is None


@pytest.mark.broker
@pytest.mark.apache
def test_a_giant_that_came_packed_is_named_by_each_command_and_what_is_around_it_is_read(line: Line) -> None:
    letters = [a_letter(number, topic=line.requests) for number in (1, 2)]
    settings = {"batch_size": 2 * len(GIANT), "max_request_size": 2 * len(GIANT), "linger_ms": 60_000}
    with KafkaProducer(bootstrap_servers=line.broker, compression_type="zstd", **settings) as producer:
        for value in (json.dumps(result(1)).encode(), GIANT, json.dumps(result(2)).encode()):
            producer.send(line.results, value, b"k", partition=0)
        producer.send(line.dead_letters, letters[0].value, letters[0].key, letters[0].headers, partition=0)
        producer.send(line.dead_letters, GIANT, b"k", letters[0].headers, partition=0)
        producer.send(line.dead_letters, letters[1].value, letters[1].key, letters[1].headers, partition=0)
    why = "[0] offset 1 cannot be read: expected a record of at most 5242880 bytes, got"

    options = KafkaOptions(bootstrap_servers=line.broker)
    tracemalloc.start()
    with Tail(options, (line.results, line.dead_letters), from_beginning=True) as tail:
        records: list[Record] = []
        while len(records) < 6:
            records += tail.poll(0.2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(GIANT) / 2

    watched = rerank_worker(line, "watch", "--format", "json", "--from-beginning", "--count", "6")
    assert [json.loads(each)["request_id"] for each in watched.stdout.splitlines()] == ["r1", "r2"]
    assert f"skipped: {line.results}{why}" in watched.stderr
    assert f"skipped: {line.dead_letters}{why}" in watched.stderr
    listed = rerank_worker(line, "dead-letters")
    assert [json.loads(each)["letter"]["offset"] for each in listed.stdout.splitlines()] == [0, 2]
    assert f"skipped: {line.dead_letters}{why}" in listed.stderr
    shown = rerank_worker(line, "dead-letters", "--show", "0:1")
    assert (shown.returncode, shown.stdout) == (Exit.CORRUPT, "")
    assert f"{line.dead_letters}{why}" in shown.stderr
    replayed = rerank_worker(line, "replay")
    assert replayed.returncode == 0, replayed.stderr
    assert f"skipped: {line.dead_letters}{why}" in replayed.stderr
    assert "skipped: cannot be read" in replayed.stdout
    assert len(line.read(line.requests, 2)) == 2

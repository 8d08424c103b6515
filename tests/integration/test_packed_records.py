"""Records that are a thousand times as large in the worker as they were on their way, and headers with odd names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer

from tests.integration.line import event
from worker.dead_letters import read
from worker.records import Partition, Record

if TYPE_CHECKING:
    from kafka.consumer.fetcher import ConsumerRecord

    from tests.integration.line import Line, Worker

pytestmark = [pytest.mark.broker, pytest.mark.apache]

GIANT_BYTES = 256 * 1024 * 1024


def _as_record(found: ConsumerRecord) -> Record:
    partition = Partition(found.topic, found.partition)
    return Record(partition, found.offset, found.timestamp, found.key, found.value, tuple(found.headers))


def _peak_bytes(worker: Worker) -> int:
    (line,) = (each for each in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if "VmHWM" in each)
    return int(line.split()[1]) * 1024


def test_of_a_batch_with_a_giant_in_it_the_others_are_reranked_and_the_worker_does_not_grow(line: Line) -> None:
    worker = line.start(module="tests.integration.light_worker")
    before = _peak_bytes(worker)
    giant = b"[" + bytes(GIANT_BYTES)
    settings = {"batch_size": 2 * GIANT_BYTES, "max_request_size": 2 * GIANT_BYTES, "linger_ms": 60_000}
    with KafkaProducer(bootstrap_servers=line.broker, compression_type="zstd", **settings) as producer:
        for value in (json.dumps(event(0)).encode(), giant, json.dumps(event(1)).encode()):
            producer.send(line.requests, value, b"k", [("trace", b"1")], partition=1)
    results = line.read(line.results, 2)
    assert [json.loads(found.value)["request_id"] for found in results] == ["r0", "r1"]
    assert [json.loads(found.value)["source"]["offset"] for found in results] == [0, 2]
    letter = read(_as_record(line.read(line.dead_letters, 1)[0]))
    assert (letter.reason, letter.offset, letter.last_offset) == ("too_large", 1, 1)
    assert (letter.key, letter.headers, letter.value) == (b"k", [("trace", b"1")], None)
    assert letter.value_dropped == f"bytes={len(giant)} codec=zstd"
    assert _peak_bytes(worker) - before < GIANT_BYTES / 4
    worker.until("all are committed", lambda: line.committed()[1] == 3)


class _Latin(str):
    """A name that the client writes in Latin-1 where UTF-8 is due."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return super().encode("latin-1")


def test_a_header_whose_name_is_not_utf_8_costs_its_own_record_alone(line: Line) -> None:
    worker = line.start(module="tests.integration.light_worker")
    sent = [event(0), event(1), event(2)]
    for number, each in enumerate(sent):
        name = _Latin("größe") if number == 1 else "size"
        line.publish([each], key=b"k", headers=[(name, b"1")], partition=0)
    results = line.read(line.results, 2)
    assert [json.loads(found.value)["request_id"] for found in results] == ["r0", "r2"]
    letter = read(_as_record(line.read(line.dead_letters, 1)[0]))
    assert (letter.reason, letter.path, letter.offset) == ("not_utf8", "headers", 1)
    assert letter.message == r"headers: expected names in UTF-8, got gr\xf6\xdfe"
    assert json.loads(letter.value or b"") == sent[1]
    assert letter.headers == [(r"gr\xf6\xdfe", b"1")]
    worker.until("all are committed", lambda: line.committed()[0] == 3)

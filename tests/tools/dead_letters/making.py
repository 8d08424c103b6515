"""Dead letters for the tests of the commands that read them, written as a worker writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer

from tests.support.make_events import tracked_offset
from worker.dead_letters import DeadLetter, Letter, dead_letter, read
from worker.flow.job import Fault, Job, Keep, ModelName
from worker.records import Corrupt, Headers, Partition, Record

if TYPE_CHECKING:
    from tests.integration.line import Line

FIRST_S = 1_795_305_600.125  # 2026-11-22T00:00:00.125Z
LETTERS = "rerank-dead-letters"


def value_of(number: int) -> bytes:
    return json.dumps({"request_id": f"r{number}", "query": "lamp", "candidates": []}).encode()


def a_letter(  # each is a fact of its own
    number: int = 0,
    *,
    topic: str = "rerank-requests",
    reason: str = "schema",
    value: bytes | None = b"",
    key: bytes | None = b"key",
    headers: Headers = (),
    keep: Keep = "all",
    lost: int = 0,
) -> Letter:
    """Make the dead letter of the event at offset `number` of partition 1; its value is value_of() unless given.

    `lost` makes it one for so many records that could not be read.
    """
    partition = Partition(topic, 1)
    record = Record(partition, number, 1_795_305_600_000, key, value_of(number) if value == b"" else value, headers)
    if lost:
        record = Record(partition, number, -1, None, None, (), Corrupt(number + lost, "failed crc check"))
    job = Job(record=record, tracked=tracked_offset(partition, number), received_s=0.0, created_s=0.0)
    job.fault = Fault(reason, "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0", "candidates")
    return dead_letter(job, group_id="g", worker_version="0.1.0", model=ModelName("m", "1"), now_s=FIRST_S, keep=keep)


def as_record(letter: Letter, *, partition: int = 0, offset: int = 7, timestamp_ms: int = 1_795_305_600_125) -> Record:
    """Return a dead letter as it is read from its topic."""
    place = Partition(LETTERS, partition)
    return Record(place, offset, timestamp_ms, letter.key, letter.value, tuple(letter.headers))


def a_dead_letter(number: int = 0, **more: Any) -> DeadLetter:
    return read(as_record(a_letter(number, **more)))


class Pen:
    """Writes to the dead-letter topic of a line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._producer = KafkaProducer(bootstrap_servers=line.broker, linger_ms=5)

    def write(self, *numbers: int, **more: Any) -> None:
        """Write the dead letters of these events of the line's request topic."""
        for number in numbers:
            letter = a_letter(number, **{"topic": self._line.requests, **more})
            # As the worker's producer does: the client refuses a record without key and value.
            value = b"" if letter.value is None and letter.key is None else letter.value
            self._producer.send(self._line.dead_letters, value, letter.key, letter.headers)
        self._producer.flush(60)

    def write_raw(self, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self._producer.send(self._line.dead_letters, value, None, headers)
        self._producer.flush(60)

    def close(self) -> None:
        self._producer.close()

"""Jobs with a fault, and their dead letters."""

from typing import Any

from tests.support.make_events import tracked_offset
from worker.dead_letters import Letter, dead_letter
from worker.flow.job import Fault, Job, ModelName
from worker.records import Headers, Partition, Record

NOW_S = 1_795_305_600.125
FAULT = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0", "candidates")
FAULT_OF_A_TOMBSTONE = Fault("tombstone", "decode", "InvalidEvent", "event: expected a JSON object")


def job(headers: Headers = (), value: bytes | None = b'{"x":1}', fault: Fault | None = FAULT) -> Job:
    partition = Partition("rerank-requests", 3)
    record = Record(partition, 41_822, 1_795_305_600_000, b"key\xff", value, headers)
    return Job(record=record, tracked=tracked_offset(partition, 41_822), received_s=0.0, created_s=0.0, fault=fault)


def letter_of(job: Job, **more: Any) -> Letter:
    usual = {"group_id": "g", "worker_version": "0.1.0", "model": ModelName("some/model", "abc"), "now_s": NOW_S}
    arguments: dict[str, Any] = usual | more
    return dead_letter(job, **arguments)


def as_read(letter: Letter) -> Record:
    return Record(Partition("rerank-dead-letters", 0), 7, 0, letter.key, letter.value, tuple(letter.headers))


def ours(letter: Letter) -> dict[str, str]:
    return {name: text.decode() for name, text in letter.headers if name.startswith("dlq.") and text is not None}

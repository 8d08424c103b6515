"""Events, records and jobs for the tests of events."""

from typing import Any

import numpy as np
import orjson

from worker.events.codec import Decoder, EventOptions
from worker.events.ranking import rank
from worker.events.results import encode_result
from worker.flow.job import Job, ModelName, Pairs, Request
from worker.offsets.tracker import OffsetTracker, TrackedOffset
from worker.records import Partition, Record

DECODER = Decoder(EventOptions())
MODEL = ModelName("some/model", "abc123")


def tracked_offset(partition: Partition, offset: int) -> TrackedOffset:
    tracker = OffsetTracker()
    tracker.assign([partition])
    tracked = tracker.track(partition, offset)
    assert tracked
    return tracked


def record(value: bytes | None, **more: Any) -> Record:
    return Record(Partition("requests", 3), 42, 1_700_000_000_000, b"key", value, **more)


def event(**fields: Any) -> dict[str, Any]:
    return {"request_id": "r1", "query": "desk lamp", "candidates": [{"id": "a", "text": "lamp"}], **fields}


def decode(document: Any, options: EventOptions | None = None) -> Request:
    decoder = DECODER if options is None else Decoder(options)
    return decoder.decode(record(orjson.dumps(document)))


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def encode(request: Request, logits: list[float], truncated: int | None = None, **more: Any) -> bytes:
    job = Job(
        record=record(b"{}"),
        tracked=tracked_offset(Partition("requests", 3), 42),
        received_s=0.0,
        created_s=0.0,
        request=request,
    )
    if truncated is not None:
        empty = np.zeros(0, dtype=np.int32)
        job.scoring.pairs = Pairs(ids=empty, offsets=np.zeros(1, dtype=np.int64), splits=empty, truncated=truncated)
    ranking = rank(np.array(logits, dtype=np.float32), "sigmoid")
    arguments: dict[str, Any] = {"model": MODEL, "timing_ms": {"total": 3.0}, "deadline_met": True, **more}
    return encode_result(job, ranking, **arguments)

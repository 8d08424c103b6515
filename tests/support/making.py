"""Jobs, records and requests for tests, with what does not matter filled in."""

from __future__ import annotations

import numpy as np

from worker.flow.job import Job, Pairs, Request, Scoring
from worker.offsets.tracker import OffsetTracker
from worker.records import Corrupt, Partition, Record

PARTITION = Partition("requests", 0)


def record(offset: int = 0, *, key: bytes | None = None, value: bytes | None = b"{}", timestamp_ms: int = 1) -> Record:
    return Record(PARTITION, offset, timestamp_ms, key, value)


def corrupt(offset: int, next_offset: int | None) -> Record:
    """Make what stands for the records from an offset up to the next one."""
    return Record(PARTITION, offset, -1, None, None, (), Corrupt(next_offset, "failed crc check"))


def request(candidates: int) -> Request:
    """Make a request with so many candidates."""
    names = [f"c{number}" for number in range(candidates)]
    return Request("r", "query", names, names)


def pairs(*lengths: int) -> Pairs:
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    ids = np.arange(offsets[-1], dtype=np.int32)
    return Pairs(ids, offsets, np.ones(len(lengths), dtype=np.int32))


def job(
    *lengths: int,
    deadline_s: float = 1.0,
    priority: int = 0,
    key: bytes | None = None,
    offset: int = 0,
    tracker: OffsetTracker | None = None,
) -> Job:
    """Make an event with pairs of these many tokens."""
    if tracker is None:
        tracker = OffsetTracker()
        tracker.assign([PARTITION])
    tracked = tracker.track(PARTITION, offset)
    assert tracked is not None
    names = [f"c{number}" for number in range(len(lengths))]
    scoring = Scoring()
    scoring.expect(pairs(*lengths))
    return Job(
        record(offset, key=key),
        tracked,
        received_s=0.0,
        created_s=0.0,
        deadline_s=deadline_s,
        request=Request("r", "query", names, names, priority=priority),
        scoring=scoring,
    )

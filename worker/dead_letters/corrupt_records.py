"""What becomes of records that cannot be read: the worker stops before them, or passes over them with a dead letter.

It always passes over one that is refused, which a producer has made so: no broker, and no other copy, has a better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from worker.exits import Exit, StopError
from worker.flow.job import Fault

if TYPE_CHECKING:
    from worker.records import Record

OnCorruptRecord = Literal["stop", "skip-to-dlq"]

REASON = "corrupt"


def is_passed(record: Record, policy: OnCorruptRecord) -> bool:
    """Whether the worker goes on with a record: it can be read, or what it stands for may and can be passed over."""
    return record.corrupt is None or (policy == "skip-to-dlq" and record.corrupt.next_offset is not None)


def stopped_at(record: Record, *, finished: bool) -> StopError:
    """Return the error that the worker stops with; `finished` says whether all that comes before is committed."""
    assert record.corrupt is not None, "what can be read is no reason to stop"
    before = (
        "what comes before is finished and committed"
        if finished
        else "not all that comes before was finished in time: start it once more before the group's offset is moved"
    )
    if record.corrupt.next_offset is None:
        way_on = "where reading can go on is not known; move the group's offset"
    else:
        way_on = (
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to "
            f"{record.corrupt.next_offset}"
        )
    return StopError(Exit.CORRUPT, f"{_place(record)} cannot be read: {record.corrupt.why}; {before}; {way_on}")


def fault(record: Record) -> Fault | None:
    """Return the fault of the dead letter that stands for records that cannot be read; None for one that can."""
    if record.refused is not None:
        reason, message, path, *_ = record.refused
        return Fault(reason, "receive", "InvalidEvent", f"{path or 'event'}: {message}", path)
    if record.corrupt is None:
        return None
    return Fault(REASON, "receive", "CorruptRecordError", f"{_place(record)} could not be read: {record.corrupt.why}")


def _place(record: Record) -> str:
    partition, next_offset = f"{record.partition.topic} partition {record.partition.number}", record.next_offset
    if next_offset == record.offset:
        return f"{partition}: the records from offset {record.offset} on"
    if next_offset == record.offset + 1:
        return f"{partition}: the record at offset {record.offset}"
    return f"{partition}: the records at offsets {record.offset} to {next_offset - 1}"

"""What becomes of records that cannot be read: the worker stops before them, or passes over them with a dead letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from worker.exits import Exit, StopError
from worker.jobs import Fault

if TYPE_CHECKING:
    from worker.jobs import Corrupt, Record

OnCorruptRecord = Literal["stop", "skip-to-dlq"]

REASON = "corrupt"


def stop_at(record: Record, corrupt: Corrupt, policy: OnCorruptRecord) -> StopError | None:
    """Return the error that the worker stops with; None where it goes on behind them."""
    done = "what comes before is finished and committed"
    if corrupt.next_offset is None:
        way_on = "where reading can go on is not known; move the group's offset"
    elif policy == "stop":
        way_on = (
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to "
            f"{corrupt.next_offset}"
        )
    else:
        return None
    return StopError(Exit.CORRUPT, f"{_place(record, corrupt)} cannot be read: {corrupt.why}; {done}; {way_on}")


def fault(record: Record, corrupt: Corrupt) -> Fault:
    """Return the fault of the dead letter that stands for them."""
    return Fault(REASON, "receive", "CorruptRecordError", f"{_place(record, corrupt)} could not be read: {corrupt.why}")


def _place(record: Record, corrupt: Corrupt) -> str:
    partition = f"{record.partition.topic} partition {record.partition.number}"
    if corrupt.next_offset is None:
        return f"{partition}: the records from offset {record.offset} on"
    if corrupt.next_offset == record.offset + 1:
        return f"{partition}: the record at offset {record.offset}"
    return f"{partition}: the records at offsets {record.offset} to {corrupt.next_offset - 1}"

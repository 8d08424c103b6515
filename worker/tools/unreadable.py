"""Says of what was received in the place of records that cannot be read which ones those are, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.jobs import Record


def unreadable(record: Record) -> str | None:
    """Return topic, partition and offsets of the records that this one stands for, and why; None where it is whole."""
    if record.corrupt is not None:
        why = record.corrupt.why
    elif record.refused is not None and record.refused.dropped is not None:
        why = f"{record.refused.message} ({record.refused.dropped.value})"
    else:
        return None
    first, last = record.offset, record.next_offset - 1
    offsets = f"offset {first}" if last <= first else f"offsets {first} to {last}"
    return f"{record.partition.topic}[{record.partition.number}] {offsets} cannot be read: {why}"

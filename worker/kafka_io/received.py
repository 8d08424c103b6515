"""What a client of Kafka has received becomes a record: one that can be read, or one that says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.jobs import Corrupt, Record
from worker.kafka_io.refusals import RefusedValue

if TYPE_CHECKING:
    from worker.jobs import Partition


def record_of(partition: Partition, one: Any) -> Record:
    """Return what the client received of a partition as a Record."""
    value, corrupt, refused = one.value, None, None
    if isinstance(value, Corrupt):
        value, corrupt = None, value
    elif isinstance(value, RefusedValue):
        refused, value = value
    return Record(partition, one.offset, one.timestamp, one.key, value, tuple(one.headers), corrupt, refused)

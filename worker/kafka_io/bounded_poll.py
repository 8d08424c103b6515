"""Receives for the tools, however much a batch unpacks to, and whatever cannot be read, as the worker does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.exits import Exit, StopError
from worker.kafka_io.fixes.corruption import Corruption, PollIsFullError
from worker.kafka_io.received import record_of
from worker.kafka_io.unpacking.refusals import MOST_HEADERS, USUAL_VALUE_BYTES, Bounds
from worker.records import Partition

if TYPE_CHECKING:
    from worker.kafka_io.options import KafkaOptions
    from worker.records import Record

_OWN_HEADERS = 100  # a dead letter has the headers of its event, and those that say what became of it


class BoundedPoll:
    """Polls a KafkaConsumer, which it changes, and holds little of what producers have packed. For one thread.

    A record that came compressed has at most 4 MiB, or `max_record_bytes` where that is more, and a MiB for key and
    headers. In the place of one that has more, and of those that cannot be read, stands one that says so.
    """

    def __init__(self, client: Any, options: KafkaOptions) -> None:
        value_bytes = max(USUAL_VALUE_BYTES, options.max_record_bytes)
        self._client = client
        self._corruption = Corruption(client, Bounds.of_value(value_bytes, MOST_HEADERS + _OWN_HEADERS))

    def poll(self, timeout_s: float) -> list[Record]:
        """Return what has come, in each partition's order; [] after `timeout_s` seconds.

        Raises what the client raises, and StopError where nobody knows how to go on behind what cannot be read.
        """
        self._corruption.begin_poll()
        try:
            fetched = self._client.poll(timeout_ms=int(timeout_s * 1000))
        except PollIsFullError:
            return []
        records = [record_of(Partition(*at), one) for at, received in fetched.items() for one in received]
        for record in records:
            if record.corrupt is not None and record.corrupt.next_offset is None:
                topic, number = record.partition
                raise StopError(
                    Exit.CORRUPT,
                    f"{topic}[{number}] cannot be read from offset {record.offset} on: {record.corrupt.why}; where "
                    "reading can go on is not known",
                )
        return records

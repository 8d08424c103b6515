"""Leads the client past what it cannot read, and says which offsets those were.

kafka-python 3.0.12 raises once where a batch fails its checksum, or breaks off, and whoever polls it again spins for
ever: its iterator of records has ended and its fetcher does not see that. Here the iterator goes on: in the place of
the lost records stands one that says so, and behind it come the records that can be read.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from worker.exits import ENDS
from worker.kafka_io.fixes.next_batch import next_readable
from worker.kafka_io.unpacking.record_batches import BoundedRecords
from worker.kafka_io.unpacking.refusals import RefusedValue
from worker.records import Corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.kafka_io.unpacking.refusals import Bounds


_POLL_BYTES = 32 * 1024 * 1024


class PollIsFullError(KafkaError):  # type: ignore[misc]  # the client is untyped
    """One poll has received as much as it may; the next one goes on."""


class Corruption:
    """What cannot be read of the fetches of one KafkaConsumer, whose fetcher it changes.

    What fails is fetched once more before it counts: it may have been damaged on its way. A record is within `bounds`.
    One poll receives 32 MiB and a record, or up to a record that was too large, which may have taken seconds to pass.
    """

    def __init__(self, consumer: Any, bounds: Bounds) -> None:
        self.bounds = bounds
        self._polled_bytes = 0
        self._subscription = consumer._subscription  # noqa: SLF001 - the client has no hook for this
        self._suspects: dict[Any, int] = {}
        fetcher = consumer._fetcher  # noqa: SLF001
        self._parse = fetcher._parse_fetched_data  # noqa: SLF001
        fetcher._parse_fetched_data = self._parse_or_say  # noqa: SLF001
        fetcher.PartitionRecords = functools.partial(_Records, self)

    def begin_poll(self) -> None:
        """Begin to count what a poll receives."""
        self._polled_bytes = 0

    @property
    def poll_is_full(self) -> bool:
        """Whether this poll is to receive nothing more."""
        return self._polled_bytes >= _POLL_BYTES

    def received(self, one: Any) -> None:
        """Count a record that a poll receives."""
        sizes = (one.serialized_key_size, one.serialized_value_size, one.serialized_header_size)
        self._polled_bytes += sum(max(0, size or 0) for size in sizes)
        if isinstance(one.value, RefusedValue):
            self._polled_bytes += _POLL_BYTES if one.value.refused.dropped else len(one.value.value or b"")

    def is_new(self, name: Any, offset: int) -> bool:
        """Note a failure; return whether the partition is to be fetched from there again."""
        if self._suspects.get(name) == offset:
            return False
        self._suspects[name] = offset
        return True

    def end(self, name: Any) -> int:
        """Return where a partition ends, as its last fetch has said."""
        return int(self._subscription.assignment[name].highwater)

    def _parse_or_say(self, completed: Any) -> Any:
        """Parse a fetch; where the broker says that it cannot read there, say that."""
        try:
            return self._parse(completed)
        except CorruptRecordError:
            name, offset = completed.topic_partition, completed.fetched_offset
            if self.is_new(name, offset):
                return None
            records = _Records(self, offset, name, BoundedRecords(b"", offset, self.bounds))
            records.record_iterator = records.lost(Corrupt(None, "the broker itself finds its log damaged there"))
            return records


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client is untyped
    """The records of one partition in one fetch."""

    def __init__(self, corruption: Corruption, *arguments: Any, **settings: Any) -> None:
        self._corruption = corruption
        self.next_fetch_offset: int
        super().__init__(*arguments, **settings)

    def take(self, n: int | None = None) -> list[Any]:
        """Return the next records, up to `n`, fewer where the poll is full. Raises PollIsFullError where it was."""
        if self._corruption.poll_is_full:
            raise PollIsFullError
        taken: list[Any] = []
        try:
            while self and not self._corruption.poll_is_full and (n is None or len(taken) < n):
                one = super().take(1)
                if not one:
                    break
                taken += one
                self._corruption.received(one[0])
        except Exception as error:
            if not taken:
                raise
            self._next_inline_exception = error
        return taken

    def lost(self, corrupt: Corrupt) -> Iterator[Any]:
        """Yield what stands for the lost records, then end: the client fetches again from where they end."""
        yield self._skip(corrupt)
        self.drain()

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        raw = records._buffer  # noqa: SLF001
        while True:
            try:
                records = BoundedRecords(raw, self.fetch_offset, self._corruption.bounds)
                for one in super()._unpack_records(tp, records, *deserializers):
                    if isinstance(one.value, RefusedValue):
                        self.next_fetch_offset = one.value.refused.last_offset + 1
                    yield one
            except (UnsupportedCodecError, *ENDS):
                raise
            except BaseException as error:  # a library that unpacks may panic
                self.next_fetch_offset = max(self.next_fetch_offset, self.fetch_offset)
                if self._corruption.is_new(tp, self.next_fetch_offset):
                    self.drain()
                    return
                raw = bytes(raw)
                found = next_readable(raw, self.next_fetch_offset, self._corruption.end(tp))
                corrupt = Corrupt(found.offset if found else None, _brief(error))
                if found is None or found.at is None or self._may_hide_an_abort(found.offset):
                    yield from self.lost(corrupt)
                    return
                # From these bytes, not from a new fetch: where lengths are damaged, the broker finds no way past them.
                yield self._skip(corrupt)
                raw = raw[found.at :]
            else:
                return

    def _skip(self, corrupt: Corrupt) -> Any:
        offset, name = self.next_fetch_offset, self.topic_partition
        if corrupt.next_offset is not None:
            self.next_fetch_offset = corrupt.next_offset
        fields = {"topic": name.topic, "partition": name.partition, "offset": offset, "timestamp": -1, "value": corrupt}
        return ConsumerRecord(**dict.fromkeys(ConsumerRecord._fields) | fields | {"headers": ()})

    def _may_hide_an_abort(self, next_offset: int) -> bool:
        """Whether the end of an aborted transaction may be lost: its producer's next one would count as aborted too.

        A new fetch has a new list of those.
        """
        self._consume_aborted_transactions_up_to(next_offset - 1)
        return bool(self.aborted_producer_ids)


def _brief(error: BaseException) -> str:
    """Return what the client says, without the partition, which is said with it."""
    text = re.sub(r" for partition TopicPartition\(.*?\)", "", " ".join(map(str, error.args)))
    return text if isinstance(error, CorruptRecordError) else f"{type(error).__name__}: {text}"

"""Takes batches apart record by record, however much they unpack to, and whatever the names of their headers are.

kafka-python 3.0.12 unpacks a batch as a whole, so that 60 KB of zeros in zstd become 600 MB, and takes no batch apart
that has a header whose name is not UTF-8. Here a batch is unpacked as it is read. In the place of a record that is too
large for the memory stands one without its value, which says so; and so it is where the rest of a batch takes too long
to unpack, or cannot be unpacked in pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import ControlRecord, DefaultRecord, DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.util import decode_varint

from worker.jobs import Dropped, Refused
from worker.kafka_io.legacy_batches import LegacyBatch
from worker.kafka_io.record_fields import content, headers_of
from worker.kafka_io.refusals import Bounds, RefusedValue, described, misnamed_header, too_many_headers
from worker.kafka_io.unpacking import CODECS, TooLargeToUnpackError, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.jobs import Headers

# Of a record that is too large its key is kept, and its headers are, up to so many bytes.
_KEPT_BYTES = 64 * 1024
# How much of a batch may be unpacked for nothing but to get past it: seconds of the thread that polls.
_MOST_PASSED_BYTES = 1024 * 1024 * 1024
_FRONT_BYTES = 32  # attributes, time, offset and the length of the key
_VARINT_BYTES = 10


class BoundedRecords(MemoryRecords):  # type: ignore[misc]  # the client is untyped
    """The batches of a fetch from `fetch_offset` on, whose records are within `bounds`.

    A record that is refused has a RefusedValue.
    """

    def __init__(self, raw: Any, fetch_offset: int, bounds: Bounds) -> None:
        super().__init__(raw)
        self._fetch_offset = fetch_offset
        self._bounds = bounds

    def next_batch(self, *arguments: Any) -> Any:
        """Return the next batch, None behind the last one."""
        batch = super().next_batch(*arguments)
        if isinstance(batch, DefaultRecordBatch):
            return _Batch(batch, self._fetch_offset, self._bounds)
        if isinstance(batch, LegacyRecordBatch) and batch.compression_type:
            return LegacyBatch(batch, self._fetch_offset)
        return batch


class _TooMuchError(Exception):
    """More of a batch was unpacked for nothing than it may be."""


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch of which a piece and a record are in memory."""

    def __init__(self, batch: Any, fetch_offset: int, bounds: Bounds) -> None:
        self._buffer = batch._buffer  # noqa: SLF001 - not copied once more
        self._header_data = batch._header_data  # noqa: SLF001
        self._pos = self.HEADER_STRUCT.size
        self._num_records = self.records_count
        self._next_record_index = 0
        self._decompressed = False
        self._fetch_offset = fetch_offset
        self._bounds = bounds
        self._codec = "none"
        self._pieces: Iterator[bytes | memoryview] = iter(())
        self._passed = 0  # bytes that were unpacked for nothing
        self._next_offset = self.base_offset

    def __next__(self) -> Any:
        if self._next_record_index >= self._num_records:
            self._fill(1)  # the client looks whether something is left
        return super().__next__()

    def _maybe_uncompress(self) -> None:
        if not self._decompressed and self.compression_type != self.CODEC_NONE:
            self._assert_has_codec(self.compression_type)
            self._codec = CODECS[self.compression_type]
            self._pieces = unpacked(self.compression_type, memoryview(self._buffer)[self._pos :])
            self._buffer = bytearray()
            self._pos = 0
        self._decompressed = True

    def _read_msg(self, *_: Any) -> Any:
        try:
            record = self._read()
        except TooLargeToUnpackError as error:
            return self._rest(f"bytes={error.size_bytes} codec={self._codec}", str(error))
        self._next_offset = record.offset + 1
        return record

    def _read(self) -> Any:
        self._fill(_VARINT_BYTES)
        length, self._pos = decode_varint(self._buffer, self._pos)
        if self._codec != "none" and length > self._bounds.record_bytes:
            return self._too_large(length)
        self._fill(length)
        buffer, start = self._buffer, self._pos
        if length < 0 or len(buffer) - start < length:
            raise CorruptRecordError("the batch ends within a record")
        _, pos = decode_varint(buffer, start)  # attributes, of which none is in use
        time_delta, pos = decode_varint(buffer, pos)
        offset_delta, pos = decode_varint(buffer, pos)
        key, pos = content(buffer, pos)
        value: Any
        value, pos = content(buffer, pos)
        count, pos = decode_varint(buffer, pos)
        offset = self.base_offset + offset_delta
        headers: Headers = ()
        if count > self._bounds.headers:
            pos = start + length
            dropped = Dropped(described(len(value or b""), self._codec), headers=count)
            value = RefusedValue(too_many_headers(count, offset, dropped, self._bounds.headers), None)
        else:
            headers, misnamed, pos = headers_of(buffer, pos, count)
            if misnamed is not None:
                value = RefusedValue(misnamed_header(misnamed, offset), value)
        if pos - start != length:
            raise CorruptRecordError(f"expected a record of {length} bytes, got one of {pos - start}")
        self._pos = pos
        return self._record(length, time_delta, offset, key, value, headers)

    def _too_large(self, length: int) -> Any:
        """Read what is small of a record, and get past the rest."""
        self._fill(_FRONT_BYTES)
        start = self._pos
        _, pos = decode_varint(self._buffer, start)
        time_delta, pos = decode_varint(self._buffer, pos)
        offset_delta, pos = decode_varint(self._buffer, pos)
        key_length, pos = decode_varint(self._buffer, pos)
        left = length - (pos - start)
        self._pos = pos
        offset = self.base_offset + offset_delta
        key, key_dropped, value_length, count = None, None, 0, None
        headers: Headers = ()
        last_offset = offset
        try:
            if key_length > _KEPT_BYTES:
                left -= self._pass(key_length, left)
                key_dropped = described(key_length, self._codec)
            elif key_length >= 0:
                key = self._take(key_length)
                left -= key_length
            value_length, taken = self._varint()
            left -= taken
            left -= self._pass(max(0, value_length), left)
            headers, count = self._small_headers(left)
        except _TooMuchError:
            last_offset = self._give_up()
        refused = Refused(
            "too_large",
            f"expected a record of at most {self._bounds.record_bytes} bytes, got {length}, unpacked from {self._codec}"
            + ("" if last_offset == offset else "; those behind it in its batch cannot be reached"),
            None,
            last_offset,
            Dropped(described(max(0, value_length), self._codec), key_dropped, count),
        )
        return self._record(length, time_delta, offset, key, RefusedValue(refused, None), headers)

    def _small_headers(self, left: int) -> tuple[Headers, int | None]:
        """Return the headers of a record, or none and how many there were; `left` bytes are left of it."""
        if left > _KEPT_BYTES:
            count, taken = self._varint()
            self._pass(left - taken, left)
            return (), count
        self._fill(left)
        end = self._pos + left
        count, pos = decode_varint(self._buffer, self._pos)
        if count > self._bounds.headers:
            self._pos = end
            return (), count
        headers, _, self._pos = headers_of(self._buffer, pos, count)
        if self._pos != end:
            raise CorruptRecordError("a record has another length than it says")
        return headers, None

    def _rest(self, dropped: str, why: str) -> Any:
        """Return what stands for all that is left of the batch."""
        offset = min(max(self._next_offset, self._fetch_offset), self.last_offset)
        message = f"expected a batch that can be unpacked in pieces, got one with {why} in {self._codec}"
        refused = Refused("too_large", message, None, self._give_up(), Dropped(dropped))
        return DefaultRecord(0, offset, -1, self.timestamp_type, None, RefusedValue(refused, None), [])

    def _give_up(self) -> int:
        """Read nothing more of the batch; return its last offset."""
        self._next_record_index = self._num_records
        self._pieces, self._buffer, self._pos = iter(()), bytearray(), 0
        return int(self.last_offset)

    def _record(self, length: int, time_delta: int, offset: int, key: Any, value: Any, headers: Headers) -> Any:  # noqa: PLR0913, PLR0917 - what a record has
        kind = self.timestamp_type
        timestamp = self.max_timestamp if kind == self.LOG_APPEND_TIME else self.first_timestamp + time_delta
        made = ControlRecord if self.is_control_batch else DefaultRecord
        return made(length, offset, timestamp, kind, key, value, list(headers))

    def _fill(self, size: int) -> None:
        """Have so many bytes behind the position in memory, or all that there are."""
        if len(self._buffer) - self._pos >= size or self._codec == "none":
            return
        del self._buffer[: self._pos]
        self._pos = 0
        while len(self._buffer) < size and (piece := next(self._pieces, None)) is not None:
            self._buffer += piece

    def _varint(self) -> tuple[int, int]:
        """Return a number, and of how many bytes it is."""
        self._fill(_VARINT_BYTES)
        number, pos = decode_varint(self._buffer, self._pos)
        taken = pos - self._pos
        self._pos = pos
        return number, taken

    def _take(self, size: int) -> bytes:
        self._fill(size)
        self._pos += size
        return bytes(self._buffer[self._pos - size : self._pos])

    def _pass(self, size: int, left: int) -> int:
        """Get past so many bytes, of a record of which so many are left; return how many."""
        if size > left:
            raise CorruptRecordError("a record has another length than it says")
        rest = size
        while rest > len(self._buffer) - self._pos:
            rest -= len(self._buffer) - self._pos
            self._passed += len(self._buffer) - self._pos
            if self._passed > _MOST_PASSED_BYTES:
                raise _TooMuchError
            self._pos = len(self._buffer)
            self._fill(1)
            if not self._buffer:
                raise CorruptRecordError("the batch ends within a record")
        self._pos += rest
        self._passed += rest
        return size

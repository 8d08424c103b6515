"""Batches of the formats before Kafka 0.11, which are unpacked as a whole, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.record.default_records import DefaultRecord
from kafka.record.legacy_records import LegacyRecordBatch

from worker.jobs import Dropped, Refused
from worker.kafka_io.refusals import RefusedValue, described
from worker.kafka_io.unpacking import CODECS, MOST_BLOCK_BYTES, TooLargeToUnpackError, old_lz4, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator


class LegacyBatch(LegacyRecordBatch):  # type: ignore[misc]
    """A batch of a format before Kafka 0.11, which cannot be taken apart in pieces."""

    def __init__(self, batch: Any, fetch_offset: int) -> None:
        for name in LegacyRecordBatch.__slots__:
            setattr(self, name, getattr(batch, name))
        self._fetch_offset = fetch_offset

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from super().__iter__()
        except TooLargeToUnpackError as error:
            codec, last = CODECS[self.compression_type], int(self._offset)  # a batch has the offset of its last record
            message = f"expected a batch of at most {MOST_BLOCK_BYTES} bytes in its old format, got more"
            refused = Refused("too_large", message, None, last, Dropped(described(error.size_bytes, codec)))
            offset = min(self._fetch_offset, last)
            yield DefaultRecord(0, offset, -1, self.timestamp_type, None, RefusedValue(refused, None), [])

    def _decompress(self, key_offset: int) -> Any:
        _, value = self._read_key_value(key_offset)
        packed = memoryview(value or b"")
        if self.compression_type == self.CODEC_LZ4 and self._magic == 0:
            packed = old_lz4(packed)
        whole = bytearray()
        for piece in unpacked(self.compression_type, packed):
            whole += piece
            if len(whole) > MOST_BLOCK_BYTES:
                raise TooLargeToUnpackError(len(whole))
        return whole

"""Reads the fields of a record in Kafka's format since 0.11."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka.errors import CorruptRecordError
from kafka.record.util import decode_varint

if TYPE_CHECKING:
    from worker.records import Headers


def content(buffer: bytearray, pos: int) -> tuple[bytes | None, int]:
    """Return a key or a value, and the position behind it."""
    length, pos = decode_varint(buffer, pos)
    if length < 0:
        return None, pos
    return bytes(buffer[pos : pos + length]), pos + length


def headers_of(buffer: bytearray, pos: int, count: int) -> tuple[Headers, str | None, int]:
    """Return headers, the first name of them that is not UTF-8, and the position behind them."""
    if count < 0:
        raise CorruptRecordError(f"expected a number of headers, got {count}")
    headers, misnamed = [], None
    for _ in range(count):
        raw, pos = content(buffer, pos)
        if raw is None:
            raise CorruptRecordError("a header has no name")
        name = raw.decode("utf-8", "backslashreplace")
        if misnamed is None and name.encode() != raw:
            misnamed = name
        value, pos = content(buffer, pos)
        headers.append((name, value))
    return tuple(headers), misnamed, pos

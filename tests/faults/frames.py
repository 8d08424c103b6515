"""Spoils a frame of Kafka's protocol where its records lie, which is what the protocol protects with a checksum."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from random import Random

# A batch of records: where its length, its magic number, its checksum and what that covers lie.
_LENGTH_AT, _MAGIC_AT, _CRC_AT, _COVERED_AT = 8, 16, 17, 21
_MAGIC = 2
_COUNTED_FROM = 12  # the length is that of what follows it


def batch_of(frame: bytes) -> tuple[int, int] | None:
    """Return where the bytes that the checksum of a frame's first batch covers begin and end; None if it has none."""
    at = frame.find(_MAGIC, _MAGIC_AT)
    while at != -1:
        start = at - _MAGIC_AT
        if start + _COVERED_AT < len(frame):
            (length,) = struct.unpack_from(">i", frame, start + _LENGTH_AT)
            (crc,) = struct.unpack_from(">I", frame, start + _CRC_AT)
            end = start + _COUNTED_FROM + length
            if start + _COVERED_AT < end <= len(frame) and calc_crc32c(frame[start + _COVERED_AT : end]) == crc:
                return start + _COVERED_AT, end
        at = frame.find(_MAGIC, at + 1)
    return None


def flipped(frame: bytes, chance: Random) -> bytes | None:
    """Return the frame with one bit of its records turned over; None where it has no records."""
    found = batch_of(frame)
    if found is None:
        return None
    spoiled = bytearray(frame)
    spoiled[chance.randrange(*found)] ^= 1 << chance.randrange(8)
    return bytes(spoiled)

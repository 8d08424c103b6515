"""Damages what a broker has stored, or what a client was sent."""

import struct
from pathlib import Path
from typing import NamedTuple

from kafka.record.util import calc_crc32c

HEADER = 61
LENGTH_AT, CRC_AT, ATTRIBUTES_AT, DELTA_AT = 8, 17, 21, 23
_CONTROL = 0x20


class StoredBatch(NamedTuple):
    """Where a batch is in its file, and which offsets it has."""

    at: int
    size: int
    first: int
    last: int
    is_control: bool


def stored_batches(log: Path) -> list[StoredBatch]:
    """Return the batches of a file that is not damaged yet."""
    raw = log.read_bytes()
    found, at = [], 0
    while at < len(raw):
        first, length = struct.unpack_from(">qi", raw, at)
        attributes, delta = struct.unpack_from(">hi", raw, at + ATTRIBUTES_AT)
        found.append(StoredBatch(at, 12 + length, first, first + delta, bool(attributes & _CONTROL)))
        at += 12 + length
    return found


def overwrite(log: Path, at: int, content: bytes) -> None:
    with log.open("r+b") as file:
        file.seek(at)
        file.write(content)


def spoil(log: Path, batch: StoredBatch) -> None:
    """Flip the bits of a batch's last byte, so that it fails its checksum."""
    at = batch.at + batch.size - 1
    overwrite(log, at, bytes([log.read_bytes()[at] ^ 0xFF]))


def with_checksum(batch: bytes) -> bytes:
    """Return a changed batch with the checksum that it has to have."""
    made = bytearray(batch)
    struct.pack_into(">I", made, CRC_AT, calc_crc32c(bytes(made[ATTRIBUTES_AT:])))
    return bytes(made)

"""Reads the group's own log, the records of `__consumer_offsets`: accepted offsets and generations, in one order.

The layouts are those of Apache Kafka's OffsetCommitKey, OffsetCommitValue, GroupMetadataKey and GroupMetadataValue.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kafka.coordinator.consumer import ConsumerProtocolAssignment

from tests.faults.history import Commit, Generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOPIC = "__consumer_offsets"
_OFFSET_KEYS, _GROUP_KEY = (0, 1), 2
_OFFSET_VALUES, _GROUP_VALUE = (3, 4), 3
_FLEXIBLE = 4  # from this version of an offset's value on, strings have lengths of their own kind


def partition_of(group: str, partitions: int) -> int:
    """Return the partition of the topic in which a group has its log: by Java's hash of the name, without its sign."""
    number = 0
    for letter in group:
        number = (31 * number + ord(letter)) & 0xFFFFFFFF
    return min(number, 2**32 - number) % partitions


def read(records: Iterable[tuple[bytes, bytes | None]], group: str, topic: str) -> Iterator[Commit | Generation]:
    """Give what the keys and values say about a group and a topic. Raises ValueError for a layout it does not know."""
    for key, value in records:
        reader = _Reader(key)
        version = reader.number("h")
        if value is None or version not in (*_OFFSET_KEYS, _GROUP_KEY) or reader.text() != group:
            continue
        if version == _GROUP_KEY:
            yield _generation(_Reader(value), topic)
        elif reader.text() == topic:
            yield _commit(_Reader(value), reader.number("i"))


def _commit(value: _Reader, partition: int) -> Commit:
    version = _known(value, _OFFSET_VALUES)
    offset, _ = value.number("q"), value.number("i")
    member = value.compact_text() if version >= _FLEXIBLE else value.text()
    return Commit(partition, offset, value.number("q"), member)


def _generation(value: _Reader, topic: str) -> Generation:
    _known(value, (_GROUP_VALUE,))
    value.text()
    number = value.number("i")
    value.text(), value.text(), value.number("q")
    owners: dict[int, str] = {}
    members = set()
    for _ in range(value.number("i")):
        member = value.text()
        members.add(member)
        value.text(), value.text(), value.text(), value.number("i"), value.number("i"), value.some()
        if assignment := value.some():
            owners.update(dict.fromkeys(_partitions(assignment, topic), member))
    return Generation(number, owners, frozenset(members))


def _partitions(assignment: bytes, topic: str) -> list[int]:
    decoded = ConsumerProtocolAssignment.decode(assignment)
    return [number for each in decoded.assigned_partitions if each.topic == topic for number in each.partitions]


def _known(value: _Reader, versions: tuple[int, ...]) -> int:
    version = value.number("h")
    if version not in versions:
        raise ValueError(f"expected a record of {TOPIC} of version {versions}, got {version}; read its new layout too")
    return version


class _Reader:
    """Takes fields from the front of bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, kind: str) -> int:
        (found,) = struct.unpack_from(f">{kind}", self._data, self._at)
        self._at += struct.calcsize(f">{kind}")
        return int(found)

    def text(self) -> str:
        return self._take(self.number("h")).decode()

    def some(self) -> bytes:
        return self._take(self.number("i"))

    def compact_text(self) -> str:
        length = shift = 0
        while True:
            byte = self.number("B")
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return self._take(length - 1).decode()

    def _take(self, length: int) -> bytes:
        """Take so many bytes; a negative length is a null."""
        start, self._at = self._at, self._at + max(0, length)
        return self._data[start : self._at]

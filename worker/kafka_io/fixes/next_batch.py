"""Finds, in the bytes of a fetch, where reading goes on behind a batch that cannot be read.

A batch's header says how long it is and which offsets it has, but what is damaged may be the header. Nothing in it can
be believed where the checksum fails, and the checksum does not cover the first offset and the length at all. What can
be believed is the next batch that is whole: it passes its own checksum, and its first offset is one that can be there.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the record batch, version 2: first offset, length, epoch, magic, CRC, attributes, last offset less the first one,
# times and producer, number of records. The length counts what comes behind it, the CRC is of what comes behind it.
_HEADER = struct.Struct(">qiibIhi30xi")
_COUNTED_FROM, _MAGIC_AT, _CHECKED_FROM = 12, 16, 21
_MAGIC = 2


class Found(NamedTuple):
    """The offset that can be read next, and where in the bytes its batch begins; None where it has to be fetched."""

    offset: int
    at: int | None


class _Batch(NamedTuple):
    at: int
    stop: int
    first: int
    last: int
    records: int
    crc: int
    magic: int


def next_readable(raw: bytes, offset: int, end: int) -> Found | None:
    """Return what can be read next where reading has failed at an offset; None where that cannot be told.

    `raw` are the bytes of the fetch from the batch on that has, or comes before, this offset; `end` is the partition's
    end.
    """
    broken = _broken(raw, offset)
    if broken is None:
        return None
    for at in _places(raw, broken):
        batch = _read(raw, at)
        if batch is not None and offset < batch.first <= batch.last < end and _is_whole(raw, batch):
            return Found(batch.first, at)
    # Nothing whole behind it in these bytes. Its header is believed where its two ways to say how many records it has
    # agree, which they do but for compaction.
    if broken.records == broken.last - broken.first + 1 and offset <= broken.last < end:
        return Found(broken.last + 1, None)
    return None


def _broken(raw: bytes, offset: int) -> _Batch | None:
    """Return the batch at fault: the first one that is damaged, or has the offset."""
    at = 0
    while (batch := _read(raw, at)) is not None:
        if not _is_whole(raw, batch) or batch.last >= offset:
            return batch
        at = batch.stop
    return None


def _places(raw: bytes, broken: _Batch) -> Iterator[int]:
    """Yield where a batch may begin: where the broken one ends, if that is its neighbour; else at any magic byte."""
    if broken.stop > broken.at:
        neighbour = _read(raw, broken.stop)
        if neighbour is not None and neighbour.first == broken.last + 1:
            yield broken.stop
    magic_at = broken.at + _MAGIC_AT
    while (magic_at := raw.find(_MAGIC, magic_at + 1)) >= 0:
        yield magic_at - _MAGIC_AT


def _read(raw: bytes, at: int) -> _Batch | None:
    if at + _HEADER.size > len(raw):
        return None
    first, length, _, magic, crc, _, delta, records = _HEADER.unpack_from(raw, at)
    return _Batch(at, at + _COUNTED_FROM + length, first, first + delta, records, crc, magic)


def _is_whole(raw: bytes, batch: _Batch) -> bool:
    return (
        batch.magic == _MAGIC
        and batch.at + _HEADER.size <= batch.stop <= len(raw)
        and bool(calc_crc32c(memoryview(raw)[batch.at + _CHECKED_FROM : batch.stop]) == batch.crc)
    )

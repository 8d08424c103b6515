"""Decompresses the records of a batch piece by piece: what a producer has packed may be a thousand times as large."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import lz4.frame
import snappy
import zstandard
from kafka.codec import _detect_xerial_stream
from kafka.errors import CorruptRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")  # by their numbers in a batch

PIECE_BYTES = 1024 * 1024
# How much a decompressor is given at once: those of Python copy what they have not used at each call.
_FED_BYTES = 64 * 1024
# A block of snappy can only be unpacked as a whole. Java's producers write blocks of 32 KiB, others one of all.
MOST_BLOCK_BYTES = 64 * 1024 * 1024
_XERIAL_HEADER_BYTES = 16
_LENGTH_BYTES = 4
# Of a frame of lz4: its magic number, flags, block size, the content's size where a flag says so, a checksum of those.
_LZ4_FLAGS_AT, _LZ4_HAS_SIZE, _LZ4_CHECKSUM_AT, _LZ4_SIZE_BYTES = 4, 0b1000, 6, 8
_LEAST_LZ4_BYTES = _LZ4_CHECKSUM_AT + _LZ4_SIZE_BYTES + 1
_UINT32 = 0xFFFF_FFFF
_GZIP = 16 + zlib.MAX_WBITS  # for zlib: with gzip's header and checksum


class TooLargeToUnpackError(Exception):
    """What comes next cannot be unpacked in pieces, and has `size_bytes` as a whole."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"a block of {size_bytes} bytes")
        self.size_bytes = size_bytes


def unpacked(codec: int, packed: memoryview) -> Iterator[bytes | memoryview]:
    """Yield what was packed with one of CODECS, but "none", in pieces of PIECE_BYTES at most.

    Raises CorruptRecordError, or what the library raises, for bytes that are not of this codec, and
    TooLargeToUnpackError.
    """
    return _UNPACKERS[CODECS[codec]](packed)


def old_lz4(packed: memoryview) -> memoryview:
    """Return lz4 as clients before Kafka 0.10 wrote it, whose frame's header has a wrong checksum, with the right one.

    Raises CorruptRecordError where there is no frame.
    """
    if packed.nbytes < _LEAST_LZ4_BYTES:
        raise CorruptRecordError("lz4 ends before its end")
    has_size = packed[_LZ4_FLAGS_AT] & _LZ4_HAS_SIZE
    checksum_at = _LZ4_CHECKSUM_AT + (_LZ4_SIZE_BYTES if has_size else 0)
    mended = bytearray(packed)
    mended[checksum_at] = _xxh32(mended[_LZ4_FLAGS_AT:checksum_at]) >> 8 & 0xFF
    return memoryview(mended)


def _xxh32(data: bytearray) -> int:
    """Return the checksum of less than 16 bytes that the frame format of lz4 uses (xxHash's specification)."""
    first, second, third, fourth, fifth = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1
    whole = len(data) // 4 * 4
    mixed = fifth + len(data)
    for at in range(0, whole, 4):
        mixed = _rotated(mixed + int.from_bytes(data[at : at + 4], "little") * third, 17) * fourth
    for byte in data[whole:]:
        mixed = _rotated(mixed + byte * fifth, 11) * first
    mixed &= _UINT32
    for shift, factor in ((15, second), (13, third), (16, 1)):
        mixed = (mixed ^ mixed >> shift) * factor & _UINT32
    return mixed


def _rotated(number: int, bits: int) -> int:
    number &= _UINT32
    return (number << bits | number >> 32 - bits) & _UINT32


def _gzip(packed: memoryview) -> Iterator[bytes]:
    rest = packed
    while rest.nbytes:  # one member after the other, as a file may have
        decompressor = zlib.decompressobj(_GZIP)
        fed = 0
        while not decompressor.eof:
            data: Any = decompressor.unconsumed_tail
            if not data:
                data = rest[fed : fed + _FED_BYTES]
                fed += data.nbytes
            piece = decompressor.decompress(data, PIECE_BYTES)
            if piece:
                yield piece
            elif not decompressor.eof and fed == rest.nbytes and not decompressor.unconsumed_tail:
                raise CorruptRecordError("gzip ends before its end")
        rest = rest[fed - len(decompressor.unused_data) :]


def _snappy(packed: memoryview) -> Iterator[memoryview]:
    if not _detect_xerial_stream(packed):
        yield from _snappy_block(packed)
        return
    at = _XERIAL_HEADER_BYTES
    while at < packed.nbytes:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(packed[at:start], "big")
        if at > packed.nbytes:
            raise CorruptRecordError("a block of snappy ends before its end")
        yield from _snappy_block(packed[start:at])


def _snappy_block(packed: memoryview) -> Iterator[memoryview]:
    size = _snappy_size(packed)
    if size > MOST_BLOCK_BYTES:
        raise TooLargeToUnpackError(size)
    block = memoryview(snappy.decompress(packed.tobytes()))
    for start in range(0, block.nbytes, PIECE_BYTES):
        yield block[start : start + PIECE_BYTES]


def _snappy_size(packed: memoryview) -> int:
    """Return how many bytes a block says that it has, in its first ones: seven bits each, the lowest first."""
    size = 0
    for number, byte in enumerate(packed[:5]):
        size |= (byte & 0x7F) << 7 * number
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            break
    return size


def _lz4(packed: memoryview) -> Iterator[bytes]:
    decompressor = lz4.frame.LZ4FrameDecompressor()
    fed = 0
    while not decompressor.eof:
        data = packed[fed : fed + _FED_BYTES] if decompressor.needs_input else b""
        fed += len(data)
        piece = decompressor.decompress(data, PIECE_BYTES)
        if piece:
            yield piece
        elif not decompressor.eof and fed == packed.nbytes and decompressor.needs_input:
            raise CorruptRecordError("lz4 ends before its end")


def _zstd(packed: memoryview) -> Iterator[bytes]:
    # It takes no frame whose window is larger than 128 MiB, as brokers do not.
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed), read_across_frames=True) as reader:
        while piece := reader.read(PIECE_BYTES):
            yield piece


_UNPACKERS: dict[str, Callable[[memoryview], Iterator[bytes | memoryview]]] = {
    "gzip": _gzip,
    "snappy": _snappy,
    "lz4": _lz4,
    "zstd": _zstd,
}

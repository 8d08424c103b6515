"""What was compressed comes out in pieces, whatever it was compressed with."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING

import lz4.frame
import pytest
import snappy
import zstandard
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from kafka.errors import CorruptRecordError

from worker.kafka_io.unpacking import CODECS, MOST_BLOCK_BYTES, PIECE_BYTES, TooLargeToUnpackError, old_lz4, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip_encode),
    ("gzip", lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:])),
    ("snappy", snappy_encode),  # in blocks with a header, as Java's producers do
    ("snappy", snappy.compress),  # as one block, as librdkafka does
    ("lz4", lz4_encode),
    ("lz4", lambda content: lz4.frame.compress(content, block_size=lz4.frame.BLOCKSIZE_MAX4MB)),
    ("zstd", zstd_encode),
    ("zstd", lambda content: zstd_encode(content[:1000]) + zstd_encode(content[1000:])),
]
ANY = pytest.mark.parametrize(("codec", "pack"), PACKERS)
NOISE = random.Random(1).randbytes(300_000)


@ANY
@pytest.mark.parametrize("content", [b"x", NOISE, NOISE * 9, bytes(5_000_000)], ids=["byte", "noise", "mixed", "zeros"])
def test_the_pieces_are_what_was_packed(codec: str, pack: Callable[[bytes], bytes], content: bytes) -> None:
    pieces = list(unpacked(CODECS.index(codec), memoryview(pack(content))))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize(("codec", "pack"), [each for each in PACKERS if each[0] in {"gzip", "lz4"}])
def test_what_ends_too_early_is_not_taken_for_the_whole(codec: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CorruptRecordError):
        list(unpacked(CODECS.index(codec), memoryview(pack(NOISE)[:-20])))


@pytest.mark.parametrize("has_size", [True, False])
def test_lz4_of_the_oldest_clients_gets_the_checksum_that_its_header_lacks(has_size: bool) -> None:
    packed = lz4.frame.compress(NOISE, store_size=has_size)
    spoilt = bytearray(packed)
    spoilt[14 if has_size else 6] ^= 0xFF
    assert old_lz4(memoryview(spoilt)) == packed
    with pytest.raises(CorruptRecordError):
        old_lz4(memoryview(packed[:10]))


def test_a_block_of_snappy_that_ends_too_early_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(CorruptRecordError):
        list(unpacked(CODECS.index("snappy"), memoryview(snappy_encode(NOISE)[:-20])))


def test_a_block_of_snappy_that_is_too_large_is_not_begun() -> None:
    packed = bytearray(snappy.compress(bytes(1000)))
    packed[:2] = _varint(MOST_BLOCK_BYTES + 1)  # its length
    with pytest.raises(TooLargeToUnpackError) as caught:
        list(unpacked(CODECS.index("snappy"), memoryview(packed)))
    assert caught.value.size_bytes == MOST_BLOCK_BYTES + 1


def test_a_window_larger_than_brokers_take_is_refused() -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    maker = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    packed = maker.compress(NOISE) + maker.flush()
    with pytest.raises(zstandard.ZstdError):
        list(unpacked(CODECS.index("zstd"), memoryview(packed)))


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])

"""Batches whose records are more than the memory is for, or have headers that nobody can name."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import lz4.frame
import pytest
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecordsBuilder

from tests.damage import with_checksum
from worker.kafka_io import legacy_batches, record_batches, unpacking
from worker.kafka_io.record_batches import BoundedRecords
from worker.kafka_io.refusals import MOST_HEADERS, Bounds, RefusedValue
from worker.kafka_io.unpacking import CODECS

if TYPE_CHECKING:
    from worker.jobs import Refused

MOST = 1024 * 1024
SMALL, GIANT = b"small", bytes(24 * MOST)
FIRST = 100
EVERY_CODEC = pytest.mark.parametrize("codec", CODECS[1:])

Made = tuple[bytes | None, bytes | None, list[Any]]


def batch(*records: Made, codec: str = "none", magic: int = 2) -> bytes:
    builder = MemoryRecordsBuilder(magic=magic, compression_type=CODECS.index(codec), batch_size=1 << 30)
    for number, (key, value, headers) in enumerate(records):
        builder.append(1000 + number, key, value, headers)
    builder.close()
    made = bytearray(builder.buffer())
    struct.pack_into(">q", made, 0, FIRST)
    return bytes(made)


def read(raw: bytes, fetch_offset: int = FIRST, record_bytes: int = MOST) -> list[Any]:
    return [record for made in BoundedRecords(raw, fetch_offset, Bounds(record_bytes)) for record in made]


def refused(record: Any) -> Refused:
    assert isinstance(record.value, RefusedValue)
    return record.value.refused


def of(value: bytes | None, key: bytes | None = b"k", headers: list[Any] | None = None) -> Made:
    return key, value, headers or []


@EVERY_CODEC
def test_of_a_record_that_is_too_large_all_but_the_value_is_kept_and_so_are_its_neighbours(codec: str) -> None:
    raw = batch(of(SMALL), of(GIANT, b"giant", [("a", b"1"), ("b", None)]), of(SMALL), codec=codec)
    tracemalloc.start()
    found = read(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(GIANT) / 2
    first, giant, last = found
    assert [(each.offset, each.timestamp, each.key) for each in found] == [
        (100, 1000, b"k"),
        (101, 1001, b"giant"),
        (102, 1002, b"k"),
    ]
    assert first.value == last.value == SMALL
    assert giant.headers == [("a", b"1"), ("b", None)]
    why = refused(giant)
    assert (why.reason, why.last_offset) == ("too_large", 101)
    length = len(GIANT) + len(b"giant" + b"a" + b"1" + b"b") + 13  # and what is between them
    assert why.message == f"expected a record of at most {MOST} bytes, got {length}, unpacked from {codec}"
    assert why.dropped is not None
    assert why.dropped == (f"bytes={len(GIANT)} codec={codec}", None, None)


@EVERY_CODEC
def test_what_is_as_large_as_it_may_be_is_read_however_many_there_are(codec: str) -> None:
    value = b"v" * (MOST - 100)
    assert [record.value for record in read(batch(*[of(value)] * 20, codec=codec))] == [value] * 20


@EVERY_CODEC
def test_a_key_or_headers_that_are_too_large_are_dropped_and_described(codec: str) -> None:
    raw = batch(of(b"v", GIANT), of(b"v", b"k", [("h", GIANT), ("i", b"1")]), of(None), codec=codec)
    by_key, by_headers, behind = read(raw)
    assert (by_key.key, by_headers.key, by_headers.headers) == (None, b"k", [])
    assert refused(by_key).dropped == (f"bytes=1 codec={codec}", f"bytes={len(GIANT)} codec={codec}", None)
    assert refused(by_headers).dropped == (f"bytes=1 codec={codec}", None, 2)
    assert (behind.offset, behind.value) == (102, None)


def test_what_is_not_compressed_has_no_limit_here() -> None:
    assert [record.value for record in read(batch(of(SMALL), of(GIANT)))] == [SMALL, GIANT]


def test_one_stands_for_all_that_takes_too_long_to_get_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "_MOST_PASSED_BYTES", 2 * len(GIANT))
    raw = batch(of(SMALL), *[of(GIANT)] * 3, of(SMALL), codec="zstd")
    found = read(raw)
    assert [record.offset for record in found] == [100, 101, 102, 103]
    assert [refused(record).last_offset for record in found[1:]] == [101, 102, 104]
    assert refused(found[-1]).message.endswith("; those behind it in its batch cannot be reached")


@pytest.mark.parametrize(("fetch_offset", "first"), [(FIRST, 100), (101, 101), (102, 102)])
def test_one_stands_for_all_that_cannot_be_unpacked_from_where_it_was_fetched(
    monkeypatch: pytest.MonkeyPatch, fetch_offset: int, first: int
) -> None:
    monkeypatch.setattr(unpacking, "MOST_BLOCK_BYTES", 100)
    raw = batch(*[of(b"v" * 1000)] * 3, codec="snappy")
    (rest,) = read(raw, fetch_offset)
    assert (rest.offset, rest.timestamp, rest.key, rest.headers) == (first, -1, None, [])
    assert refused(rest).last_offset == 102
    assert (refused(rest).dropped or ("",))[0].endswith(" codec=snappy")


def _old_lz4(content: bytes) -> bytes:
    """Return lz4 with a checksum of its header that is not right, as Kafka's clients before 0.10 wrote it."""
    packed = bytearray(lz4.frame.compress(content, store_size=False))
    packed[6] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4"])
def test_a_batch_of_an_old_format_is_read_or_one_stands_for_it(
    codec: str, magic: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.record.legacy_records.lz4_encode_old_kafka", _old_lz4)
    raw = batch(of(SMALL), of(SMALL * 1000), codec=codec, magic=magic)
    assert [record.value for record in read(raw)] == [SMALL, SMALL * 1000]
    monkeypatch.setattr(legacy_batches, "MOST_BLOCK_BYTES", 1000)
    (whole,) = read(raw, fetch_offset=99)
    assert (whole.offset, refused(whole).last_offset) == (99, 100)  # it has the offset of its last record
    assert (refused(whole).dropped or ("",))[0].endswith(f" codec={codec}")


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_header_whose_name_is_not_utf_8_costs_its_own_record_alone_and_nothing_of_it(codec: str) -> None:
    plain = batch(of(SMALL), of(SMALL, b"key", [("fine", b"1"), ("spoilt", b"2"), ("null", None)]), of(SMALL))
    raw = with_checksum(plain.replace(b"spoilt", b"spoil\xff"))
    if codec != "none":
        packed = getattr(__import__("kafka.codec", fromlist=["codec"]), f"{codec}_encode")(raw[61:])
        head = bytearray(raw[:61])
        struct.pack_into(">i", head, 8, 49 + len(packed))
        struct.pack_into(">h", head, 21, CODECS.index(codec))
        raw = with_checksum(bytes(head) + packed)
    first, bad, last = read(raw)
    assert first.value == last.value == SMALL
    assert (bad.offset, bad.key) == (101, b"key")
    assert bad.headers == [("fine", b"1"), ("spoil\\xff", b"2"), ("null", None)]
    assert bad.value.value == SMALL
    assert refused(bad) == ("not_utf8", r"expected names in UTF-8, got spoil\xff", "headers", 101, None)


def test_more_headers_than_can_be_meant_are_not_taken_apart() -> None:
    many = [("", None)] * (MOST_HEADERS + 1)
    last, too_many = read(batch(of(SMALL, b"k", many[1:]), of(SMALL, b"k", many)))
    assert (len(last.headers), last.value) == (MOST_HEADERS, SMALL)
    assert (too_many.key, too_many.headers) == (b"k", [])
    assert refused(too_many).message == f"expected at most {MOST_HEADERS} headers, got {MOST_HEADERS + 1}"
    assert refused(too_many).dropped == ("bytes=5 codec=none", None, MOST_HEADERS + 1)


@EVERY_CODEC
def test_a_batch_that_ends_within_a_record_or_behind_its_last_one_is_damaged(codec: str) -> None:
    raw = batch(of(GIANT), of(SMALL), codec=codec)
    for count in (1, 3):
        changed = bytearray(raw)
        struct.pack_into(">i", changed, 57, count)
        with pytest.raises(CorruptRecordError):
            read(bytes(changed))

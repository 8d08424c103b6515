"""Where reading goes on behind a batch that is damaged, by the bytes of a fetch alone."""

import struct
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecordsBuilder

from worker.kafka_io.fixes.next_batch import Found, next_readable

LENGTH, MAGIC, DELTA, COUNT = (8, ">i"), (16, ">b"), (23, ">i"), (57, ">i")
HEADER = 61


def batch(first: int, records: int, value: bytes = b"value") -> bytes:
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=1 << 20)
    for number in range(records):
        builder.append(1_700_000_000_000, b"%d" % number, value)
    builder.close()
    made = bytearray(builder.buffer())
    struct.pack_into(">q", made, 0, first)  # the broker writes it, and the checksum leaves it out
    return bytes(made)


def changed(made: bytes, field: tuple[int, str], value: int) -> bytes:
    spoilt = bytearray(made)
    struct.pack_into(field[1], spoilt, field[0], value)
    return bytes(spoilt)


def damaged(made: bytes) -> bytes:
    return made[:-1] + bytes([made[-1] ^ 0xFF])


def test_reading_goes_on_with_the_next_batch() -> None:
    raw = batch(4, 4) + damaged(batch(8, 4)) + batch(12, 4)
    assert next_readable(raw, 8, 16) == Found(12, raw.index(batch(12, 4)))
    assert next_readable(raw, 10, 16) == Found(12, raw.index(batch(12, 4)))  # whoever begins within it


def test_several_damaged_batches_are_passed_together() -> None:
    raw = damaged(batch(8, 4)) + damaged(batch(12, 2)) + batch(14, 1)
    assert next_readable(raw, 8, 15) == Found(14, len(raw) - len(batch(14, 1)))


def test_a_batch_that_is_whole_and_cannot_be_read_all_the_same_is_passed_to_its_end() -> None:
    raw = batch(8, 4) + batch(12, 4)
    assert next_readable(raw, 9, 16) == Found(12, len(batch(8, 4)))


def test_offsets_that_compaction_has_removed_are_no_obstacle() -> None:
    raw = damaged(batch(8, 4)) + batch(30, 4)
    assert next_readable(raw, 5, 34) == Found(30, len(batch(8, 4)))


@pytest.mark.parametrize("field", [LENGTH, MAGIC, DELTA, COUNT])
@pytest.mark.parametrize("value", [-5, 0, 1, 100])
def test_a_damaged_header_hides_no_batch_behind_it(field: tuple[int, str], value: int) -> None:
    raw = changed(damaged(batch(8, 4)), field, value) + batch(12, 4) + batch(16, 4)
    assert next_readable(raw, 8, 20) == Found(12, len(batch(8, 4)))


def test_a_length_that_leads_to_a_later_batch_hides_none_between() -> None:
    first, second = batch(8, 4), batch(12, 4)
    raw = changed(first, LENGTH, len(first) + len(second) - 12) + second + batch(16, 4)
    assert next_readable(raw, 8, 20) == Found(12, len(first))


def test_a_batch_within_a_value_is_not_taken_for_one_of_the_topic() -> None:
    raw = damaged(batch(8, 4, value=batch(15, 1))) + batch(12, 4)
    assert next_readable(raw, 8, 16) == Found(12, raw.index(batch(12, 4)))


def test_the_header_of_the_last_batch_is_believed_where_it_agrees_with_itself_and_with_the_end() -> None:
    last = damaged(batch(8, 4))
    assert next_readable(last, 8, 12) == Found(12, None)
    assert next_readable(last + batch(12, 4)[:-1], 8, 16) == Found(12, None)  # the fetch has cut the next one off
    assert next_readable(last, 8, 11) is None
    for field in (DELTA, COUNT):
        assert next_readable(changed(last, field, 2), 8, 12) is None


def test_nothing_is_known_of_bytes_without_a_header() -> None:
    assert next_readable(batch(8, 4)[: HEADER - 1], 8, 12) is None
    assert next_readable(bytes(500), 8, 12) is None


SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=6)


@given(SIZES, st.data())
def test_any_damage_to_one_batch_leads_to_the_next_one(sizes: list[int], data: st.DataObject) -> None:
    """But for its first offset, which nothing protects."""
    firsts = [0, *accumulate(sizes)]
    batches = [batch(first, size) for first, size in zip(firsts[:-1], sizes, strict=True)]
    number = data.draw(st.integers(0, len(batches) - 2))
    spoilt = bytearray(batches[number])
    for at in data.draw(st.sets(st.integers(8, len(spoilt) - 1), min_size=1, max_size=20)):
        spoilt[at] = data.draw(st.integers(0, 255))
    raw = b"".join([*batches[:number], bytes(spoilt), *batches[number + 1 :]])
    at = sum(map(len, batches[: number + 1]))
    assert next_readable(raw, firsts[number], firsts[-1]) == Found(firsts[number + 1], at)

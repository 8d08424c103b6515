"""The group's own log is read as Apache Kafka writes it."""

from __future__ import annotations

import pytest

from tests.faults.group_log import partition_of, read
from tests.faults.history import Commit, Generation

FIRST = "rerank-worker-173d4556-a149-4da1-ad11-5334969bdf29"
SECOND = "rerank-worker-e6145eb5-c938-434d-b95e-8b7646c435db"

# From a broker of version 4.3: a generation of two members, one with partitions 0 and 1, one with 2; and an offset.
OF_GROUP = b"\x00\x02\x00\x11group-of-requests"
OF_OFFSET = b"\x00\x01\x00\x11group-of-requests\x00\x08requests\x00\x00\x00\x02"
HEAD = b"\x00\x03\x00\x08consumer\x00\x00\x00\x03\x00\x12cooperative-sticky\x002" + FIRST.encode()
TIME = b"\x00\x00\x01\xa2\x14B\xd5\xe2"
CLIENT = b"\xff\xff\x00\rrerank-worker\x00\n/127.0.0.1\x00\x00\xea`\x00\x00\x17p\x00\x00\x00\x03abc"
TWO = b"\x00\x01\x00\x00\x00\x01\x00\x08requests\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"
ONE = b"\x00\x01\x00\x00\x00\x01\x00\x08requests\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00"
GENERATION = (
    HEAD + TIME + b"\x00\x00\x00\x02"
    b"\x002" + SECOND.encode() + CLIENT + b"\x00\x00\x00\x1c" + ONE + b"\x002" + FIRST.encode() + CLIENT
    + b"\x00\x00\x00 " + TWO
)  # fmt: skip
TOPIC_ID = b"\x01\x00\x10W\xc1\xc1\xd6\xfd\xfeM\xdf\x95\x1e\xd6!\x91\xfdq5"
OFFSET = b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x0f\xff\xff\xff\xff\x03me\x00\x00\x01\xa2\x14B\xcbM" + TOPIC_ID


def test_generations_and_offsets_come_in_their_order() -> None:
    (generation, commit) = read([(OF_GROUP, GENERATION), (OF_OFFSET, OFFSET)], "group-of-requests", "requests")
    assert generation == Generation(3, {0: FIRST, 1: FIRST, 2: SECOND}, frozenset({FIRST, SECOND}))
    assert commit == Commit(2, 15, 1795636251469, "me")


def test_an_offset_as_older_brokers_write_it_is_read_too() -> None:
    older = b"\x00\x03" + OFFSET[2:14] + b"\x00\x02me" + b"\x00\x00\x01\xa2\x14B\xcbM"
    assert list(read([(OF_OFFSET, older)], "group-of-requests", "requests")) == [Commit(2, 15, 1795636251469, "me")]


def test_other_groups_other_topics_and_offsets_that_were_forgotten_are_passed_over() -> None:
    records = [(OF_GROUP, GENERATION), (OF_OFFSET, OFFSET)]
    assert list(read(records, "another", "requests")) == []
    assert list(read([(OF_OFFSET, OFFSET), (OF_OFFSET, None)], "group-of-requests", "another")) == []


def test_a_layout_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a record of __consumer_offsets of version \(3, 4\), got 9"):
        list(read([(OF_OFFSET, b"\x00\x09")], "group-of-requests", "requests"))


def test_a_group_has_its_log_where_the_broker_has_put_it() -> None:
    # Each seen on a broker; the hash of the second is negative.
    assert partition_of("group-of-requests", 4) == 0
    assert partition_of("group-of-requests-c82364cd45", 4) == 1
    assert partition_of("group-of-requests-23ef056a11", 4) == 3

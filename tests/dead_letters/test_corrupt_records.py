"""What the worker says of records that cannot be read."""

from dataclasses import replace

import pytest

from tests.support.making import corrupt, record
from worker.dead_letters.corrupt_records import OnCorruptRecord, fault, is_passed, stopped_at
from worker.exits import Exit
from worker.flow.job import Fault
from worker.records import Dropped, Record, Refused


@pytest.mark.parametrize(
    ("each", "policy", "passed"),
    [
        (record(8), "stop", True),
        (record(8), "skip-to-dlq", True),
        (corrupt(8, 12), "stop", False),
        (corrupt(8, 12), "skip-to-dlq", True),
        (corrupt(8, None), "stop", False),
        (corrupt(8, None), "skip-to-dlq", False),
    ],
)
def test_what_cannot_be_read_is_passed_where_that_is_wanted_and_the_way_is_known(
    each: Record, policy: OnCorruptRecord, *, passed: bool
) -> None:
    assert is_passed(each, policy) is passed


@pytest.mark.parametrize(
    ("lost", "place", "way_on"),
    [
        (
            corrupt(8, 12),
            "the records at offsets 8 to 11",
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to 12",
        ),
        (
            corrupt(8, 9),
            "the record at offset 8",
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to 9",
        ),
        (
            corrupt(8, None),
            "the records from offset 8 on",
            "where reading can go on is not known; move the group's offset",
        ),
    ],
)
def test_a_stop_names_the_place_the_cause_and_the_way_on(lost: Record, place: str, way_on: str) -> None:
    error = stopped_at(lost, finished=True)
    assert error.code is Exit.CORRUPT
    assert str(error) == (
        f"requests partition 0: {place} cannot be read: failed crc check; what comes before is finished and committed; "
        f"{way_on}"
    )


def test_a_stop_that_has_not_finished_what_comes_before_says_so() -> None:
    assert "; not all that comes before was finished in time: start it once more before the group's offset" in str(
        stopped_at(corrupt(8, 12), finished=False)
    )


def test_the_fault_of_its_dead_letter_says_which_records_were_lost() -> None:
    made = fault(corrupt(8, 12))
    assert made
    assert (made.reason, made.stage, made.error) == ("corrupt", "receive", "CorruptRecordError")
    assert made.message == "requests partition 0: the records at offsets 8 to 11 could not be read: failed crc check"
    assert fault(record(8)) is None


def test_what_is_refused_is_passed_over_and_its_dead_letter_says_why() -> None:
    refused = replace(record(8), refused=Refused("not_utf8", "expected names in UTF-8, got x", "headers", 8))
    assert is_passed(refused, "stop")
    assert fault(refused) == Fault(
        "not_utf8", "receive", "InvalidEvent", "headers: expected names in UTF-8, got x", "headers"
    )
    several = replace(record(8), refused=Refused("too_large", "expected less", None, 11, Dropped("bytes=1 codec=zstd")))
    assert several.next_offset == 12
    made = fault(several)
    assert made
    assert made.message == "event: expected less"

"""What the worker says of records that cannot be read."""

import pytest

from tests.making import corrupt
from worker.corrupt_records import OnCorruptRecord, fault, stop_at
from worker.exits import Exit, StopError
from worker.jobs import Record


def _stopped(record: Record, policy: OnCorruptRecord) -> StopError | None:
    assert record.corrupt
    return stop_at(record, record.corrupt, policy)


@pytest.mark.parametrize(
    ("record", "policy", "place", "way_on"),
    [
        (
            corrupt(8, 12),
            "stop",
            "the records at offsets 8 to 11",
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to 12",
        ),
        (
            corrupt(8, 9),
            "stop",
            "the record at offset 8",
            "start it with --on-corrupt-record skip-to-dlq to go on behind, or move the group's offset to 9",
        ),
        (
            corrupt(8, None),
            "skip-to-dlq",
            "the records from offset 8 on",
            "where reading can go on is not known; move the group's offset",
        ),
    ],
)
def test_a_stop_names_the_place_the_cause_and_the_way_on(
    record: Record, policy: OnCorruptRecord, place: str, way_on: str
) -> None:
    error = _stopped(record, policy)
    assert error
    assert error.code is Exit.CORRUPT
    assert str(error) == (
        f"requests partition 0: {place} cannot be read: failed crc check; what comes before is finished and committed; "
        f"{way_on}"
    )


def test_with_a_way_on_and_the_wish_to_take_it_there_is_no_stop_but_a_fault() -> None:
    record = corrupt(8, 12)
    assert record.corrupt
    assert _stopped(record, "skip-to-dlq") is None
    made = fault(record, record.corrupt)
    assert (made.reason, made.stage, made.error) == ("corrupt", "receive", "CorruptRecordError")
    assert made.message == "requests partition 0: the records at offsets 8 to 11 could not be read: failed crc check"

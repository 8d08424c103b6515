"""The four books of the events inside: what comes in stands in all of them, and goes out of all of them."""

from __future__ import annotations

import pytest

from tests.support.making import PARTITION, pairs, record
from worker.admission.dead_letter_guard import DeadLetterGuard, DeadLetterLimits
from worker.admission.in_flight import InFlight
from worker.admission.in_flight_limit import InFlightLimit, InFlightOptions
from worker.admission.key_order import PrecedenceLinks, by_key, by_nothing
from worker.flow.job import Fault, Job
from worker.offsets.tracker import OffsetTracker
from worker.records import Partition, Record

NOW_S, CLOCK_OFFSET_S = 1_000.0, 1_700_000_000.0


def _books(links: PrecedenceLinks | None = None, limits: DeadLetterLimits | None = None) -> InFlight:
    books = InFlight(
        OffsetTracker(),
        InFlightLimit(InFlightOptions()),
        DeadLetterGuard(limits or DeadLetterLimits()),
        links or PrecedenceLinks(by_key),
    )
    books.tracker.assign([PARTITION])
    return books


def _admitted(books: InFlight, record: Record) -> Job:
    job = books.admit(record, NOW_S, CLOCK_OFFSET_S)
    assert job is not None
    return job


def test_an_admitted_record_is_charged_and_linked_to_the_one_before() -> None:
    books = _books()
    records = record(5, key=b"k", value=b"x" * 400), record(6, key=b"other"), record(7, key=b"k")
    jobs = [_admitted(books, each) for each in records]
    assert [job.record.offset for job in jobs] == [5, 6, 7]
    assert [job.after for job in jobs] == [None, None, jobs[0]]
    assert [job.reserved_tokens for job in jobs] == [
        100,
        books.limit.MIN_TOKENS,
        books.limit.MIN_TOKENS,
    ]
    assert books.limit.in_flight_tokens == sum(job.reserved_tokens for job in jobs)
    assert books.tracker.open_count([PARTITION]) == 3


def test_nothing_is_linked_where_keys_have_no_order() -> None:
    books = _books(PrecedenceLinks(by_nothing))
    assert [_admitted(books, record(at, key=b"k")).after for at in (5, 6)] == [None, None]


def test_an_event_is_never_younger_than_its_receipt() -> None:
    books, now_ms, hour_ms = _books(), round((NOW_S + CLOCK_OFFSET_S) * 1000), 3_600_000
    times_ms = (now_ms - hour_ms, now_ms + hour_ms, -1)
    old, early, unknown = (_admitted(books, record(at, timestamp_ms=ms)) for at, ms in enumerate(times_ms))
    assert old.received_s - old.created_s == pytest.approx(3600)
    assert early.created_s == early.received_s == NOW_S
    assert unknown.created_s == unknown.received_s


def test_a_record_of_a_partition_that_is_not_ours_is_written_down_nowhere() -> None:
    books = _books()
    assert books.admit(Record(Partition("requests", 1), 0, 1, None, b"{}"), NOW_S, CLOCK_OFFSET_S) is None
    assert books.limit.in_flight_bytes == books.limit.in_flight_tokens == 0


def test_keys_and_headers_count_at_the_door() -> None:
    books = _books()
    job = _admitted(books, Record(PARTITION, 0, 1, b"k" * 100, b"v" * 200, (("näme", b"h" * 95), ("null", None))))
    assert books.limit.in_flight_bytes == 704  # of which the first name has five, and each header 150
    assert books.limit.in_flight_tokens == 176
    books.finish(job, committed=False)
    assert (books.limit.in_flight_bytes, books.limit.in_flight_tokens) == (0, 0)


def test_the_door_learns_from_an_event_that_was_tokenized() -> None:
    books = _books()
    first = _admitted(books, record(0, value=b"x" * 1000))
    first.scoring.pairs = pairs(500, 500)
    books.finish(first, committed=False)
    assert _admitted(books, record(1, value=b"x" * 1000)).reserved_tokens > first.reserved_tokens


def test_what_has_ended_may_be_committed_and_holds_nobody_back() -> None:
    books = _books()
    first = _admitted(books, record(5, key=b"k"))
    assert not books.finish(first, committed=False)
    assert books.tracker.committable() == {PARTITION: 6}
    assert _admitted(books, record(6, key=b"k")).after is None


def test_what_was_committed_with_its_outcome_is_not_to_be_committed_again() -> None:
    books = _books()
    assert not books.finish(_admitted(books, record(5)), committed=True)
    assert books.tracker.committable() == {}


def test_a_dead_letter_is_judged_by_its_reason() -> None:
    books = _books(limits=DeadLetterLimits(dead_letters_in_a_row=1))
    job = _admitted(books, record(5))
    job.fault = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0")
    books.finish(job, committed=False)
    assert books.guard.verdict is not None
    assert "schema (1)" in books.guard.verdict


def test_a_dropped_event_is_to_be_read_again_here_while_its_partition_is_ours() -> None:
    books = _books()
    ours, gone = _admitted(books, record(5)), _admitted(books, record(6))
    ours.dropped = gone.dropped = True
    assert books.finish(ours, committed=False)
    books.tracker.start_revoking([PARTITION])
    assert not books.finish(gone, committed=False)
    assert books.tracker.committable() == {}

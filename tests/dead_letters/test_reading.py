"""What is read of a dead letter, and what its event is sent back with."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dead_letters.letters import FAULT, FAULT_OF_A_TOMBSTONE, NOW_S, as_read, job, letter_of, ours
from worker.dead_letters import NotADeadLetterError, Origin, read, replayed_headers
from worker.events.schema import Contract, load_schema
from worker.flow.job import Fault, Keep
from worker.records import Headers, Partition, Record

SCHEMA = Contract(load_schema("dead-letter.v1.json"))


def test_what_is_sent_back_has_its_own_headers_and_those_that_its_next_dead_letter_counts_on() -> None:
    letter = read(as_read(letter_of(job((("a", b"1"), ("null", None), ("a", b"2"))))))
    assert replayed_headers(letter) == [
        ("a", b"1"),
        ("null", None),
        ("a", b"2"),
        ("dlq.attempts", b"1"),
        ("dlq.replays", b"1"),
        ("dlq.first-failure-time", b"2026-11-22T00:00:00.125Z"),
        ("dlq.first-topic", b"rerank-requests"),
        ("dlq.first-partition", b"3"),
        ("dlq.first-offset", b"41822"),
        ("dlq.first-timestamp", b"1795305600000"),
    ]


def test_headers_without_a_value_that_an_earlier_version_has_only_named_are_back() -> None:
    letter = letter_of(job((("a", b"1"),)))
    letter.headers.append(("dlq.null-headers", b"a%2C%20b,%C3%BC"))
    found = read(as_read(letter))
    assert found.headers == [("a", b"1"), ("a, b", None), ("ü", None)]
    assert replayed_headers(found)[:3] == found.headers
    again = read(as_read(letter_of(job((("c", b""), ("dlq.null-headers", b"x"), *replayed_headers(found)[3:])))))
    assert again.headers == [("c", b""), ("x", None)]


def test_an_event_that_was_sent_back_twice_says_where_it_failed_first_and_where_last() -> None:
    letter = read(as_read(letter_of(job())))
    for offset in (50_000, 60_000):
        again = job(tuple(replayed_headers(letter)))
        again.record = replace(again.record, partition=Partition("elsewhere", 0), offset=offset, timestamp_ms=offset)
        letter = read(as_read(letter_of(again, now_s=NOW_S + offset)))
    assert (letter.partition, letter.offset) == (Partition("elsewhere", 0), 60_000)
    assert letter.first == Origin(Partition("rerank-requests", 3), 41_822, 1_795_305_600_000)
    assert letter.first_failure == datetime(2026, 11, 22, 0, 0, 0, 125_000, UTC)
    assert (letter.attempts, letter.replays) == (3, 2)


def test_a_value_that_came_as_empty_bytes_because_there_was_no_key_either_is_none() -> None:
    bare = letter_of(job(), keep="nothing")
    assert read(as_read(bare._replace(value=b""))).value is None
    tombstone = letter_of(job(value=None, fault=FAULT_OF_A_TOMBSTONE))
    assert read(as_read(tombstone._replace(value=b""))).value is None


def test_what_was_written_is_read() -> None:
    letter = read(as_read(letter_of(job((("a", b"1"), ("b", b"\xff"))))))
    assert (letter.partition, letter.offset, letter.last_offset) == (Partition("rerank-requests", 3), 41_822, None)
    assert letter.timestamp_ms == 1_795_305_600_000
    assert (letter.key, letter.value) == (b"key\xff", b'{"x":1}')
    assert letter.headers == [("a", b"1"), ("b", b"\xff")]
    assert letter.value_dropped is None
    assert (letter.group_id, letter.worker_version, letter.model) == ("g", "0.1.0", "some/model@abc")
    assert Fault(letter.reason, letter.stage, letter.error, letter.message, letter.path) == FAULT
    assert letter.attempts == 1
    assert letter.first_failure == datetime(2026, 11, 22, 0, 0, 0, 125_000, UTC)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("dlq.stage", None, "header dlq.stage: expected this required field, got none"),
        ("dlq.attempts", b"no", 'header dlq.attempts: expected pattern ^[1-9][0-9]{0,17}$, got "no"'),
        ("dlq.schema-version", b"2", 'header dlq.schema-version: expected const 1, got "2"'),
        (
            "dlq.first-failure-time",
            b"2026-02-30T00:00:00.000Z",
            'header dlq.first-failure-time: expected format date-time, got "2026-02-30T00:00:00.000Z"',
        ),
    ],
)
def test_a_record_that_is_no_dead_letter_is_named_with_its_fault(name: str, text: bytes | None, fault: str) -> None:
    letter = letter_of(job())
    headers = [(key, text if key == name else value) for key, value in letter.headers]
    record = Record(Partition("rerank-dead-letters", 0), 7, 0, None, b"", tuple(headers))
    with pytest.raises(NotADeadLetterError) as caught:
        read(record)
    assert str(caught.value) == f"rerank-dead-letters[0] offset 7 is not a dead letter: {fault}"


header_names = st.text(max_size=20) | st.sampled_from(sorted(load_schema("dead-letter.v1.json")["properties"]))
any_headers = st.lists(st.tuples(header_names, st.none() | st.binary(max_size=40))).map(tuple)


@given(
    any_headers, st.none() | st.binary(), st.text(max_size=2000), st.sampled_from(["all", "key_and_headers", "nothing"])
)
def test_every_dead_letter_is_valid_and_can_be_read(
    headers: Headers, value: bytes | None, message: str, keep: Keep
) -> None:
    fault = Fault("model", "score", "RuntimeError", message)
    letter = letter_of(job(headers, value, fault), keep=keep)
    assert SCHEMA.is_valid(ours(letter)), SCHEMA.find(ours(letter))
    names = load_schema("dead-letter.v1.json")["properties"]
    kept = [(name, text) for name, text in headers if name not in names]
    found = read(as_read(letter))
    assert found.headers[: len(kept)] == ([] if keep == "nothing" else kept)
    assert found.value == (value if keep == "all" else None)
    again = letter_of(job(tuple(letter.headers), value, fault), now_s=NOW_S + 5)
    assert ours(again)["dlq.first-failure-time"] == ours(letter)["dlq.first-failure-time"]
    assert int(ours(again)["dlq.attempts"]) == found.attempts + 1
    sent_back = job(tuple(replayed_headers(found)), value, fault)
    sent_back.record = replace(sent_back.record, offset=99)
    then = read(as_read(letter_of(sent_back, keep=keep)))
    assert then.headers == ([] if keep == "nothing" else found.headers)
    assert (then.first, then.first_failure) == (found.first, found.first_failure)
    assert (then.attempts, then.replays, then.offset) == (found.attempts + 1, found.replays + 1, 99)

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.make_events import a_ticket
from worker import events
from worker.contract import Contract, load_schema
from worker.dead_letters import REASONS, Letter, NotADeadLetterError, Origin, dead_letter, read, replayed_headers
from worker.jobs import Fault, Headers, Job, Keep, ModelName, Partition, Record

NOW_S = 1_795_305_600.125
FAULT = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0", "candidates")
FAULT_OF_A_TOMBSTONE = Fault("tombstone", "decode", "InvalidEvent", "event: expected a JSON object")
SCHEMA = Contract(load_schema("dead-letter.v1.json"))


def job(headers: Headers = (), value: bytes | None = b'{"x":1}', fault: Fault | None = FAULT) -> Job:
    partition = Partition("rerank-requests", 3)
    record = Record(partition, 41_822, 1_795_305_600_000, b"key\xff", value, headers)
    return Job(record=record, ticket=a_ticket(partition, 41_822), received_s=0.0, created_s=0.0, fault=fault)


def letter_of(job: Job, **more: Any) -> Letter:
    usual = {"group_id": "g", "worker_version": "0.1.0", "model": ModelName("some/model", "abc"), "now_s": NOW_S}
    arguments: dict[str, Any] = usual | more
    return dead_letter(job, **arguments)


def as_read(letter: Letter) -> Record:
    return Record(Partition("rerank-dead-letters", 0), 7, 0, letter.key, letter.value, tuple(letter.headers))


def ours(letter: Letter) -> dict[str, str]:
    return {name: text.decode() for name, text in letter.headers if name.startswith("dlq.")}


def test_key_and_value_are_the_original_bytes() -> None:
    letter = letter_of(job(value=b"\x00\xff not JSON"))
    assert (letter.key, letter.value) == (b"key\xff", b"\x00\xff not JSON")


def test_the_headers_say_where_the_event_came_from_and_why_it_failed() -> None:
    assert ours(letter_of(job())) == {
        "dlq.original-topic": "rerank-requests",
        "dlq.original-partition": "3",
        "dlq.original-offset": "41822",
        "dlq.original-timestamp": "1795305600000",
        "dlq.consumer-group": "g",
        "dlq.stage": "decode",
        "dlq.reason": "schema",
        "dlq.error-class": "InvalidEvent",
        "dlq.error-message": "candidates: expected 1 to 1000, got 0",
        "dlq.path": "candidates",
        "dlq.attempts": "1",
        "dlq.first-failure-time": "2026-11-22T00:00:00.125Z",
        "dlq.worker-version": "0.1.0",
        "dlq.model": "some/model@abc",
        "dlq.schema-version": "1",
    }


def test_what_does_not_apply_has_no_header() -> None:
    headers = ours(letter_of(job(fault=Fault("model", "score", "RuntimeError", "boom")), model=None))
    assert "dlq.path" not in headers
    assert "dlq.model" not in headers


def test_the_original_headers_come_first_in_their_order() -> None:
    original = (("b", b"\xff"), ("a", b""), ("b", b"2"), ("dlq.somebody-elses", b"3"))
    assert letter_of(job(original)).headers[:4] == list(original)


def test_headers_without_a_value_are_listed_by_name() -> None:
    letter = letter_of(job((("a, b", None), ("c", b"1"), ("ü", None), ("ü", None))))
    assert [name for name, _ in letter.headers if not name.startswith("dlq.")] == ["c"]
    assert ours(letter)["dlq.null-headers"] == "a%2C%20b,%C3%BC"
    assert read(as_read(letter)).null_headers == ["a, b", "ü"]


def test_a_replayed_event_that_fails_again_counts_on() -> None:
    first = letter_of(job((("a", b"1"), ("null", None))))
    second = letter_of(job((*first.headers, ("empty", None))), now_s=NOW_S + 60, worker_version="0.2.0")
    names = [name for name, _ in second.headers]
    assert len(names) == len(set(names))
    assert ours(second) == ours(first) | {
        "dlq.attempts": "2",
        "dlq.worker-version": "0.2.0",
        "dlq.null-headers": "null,empty",
        "dlq.first-topic": "rerank-requests",
        "dlq.first-partition": "3",
        "dlq.first-offset": "41822",
        "dlq.first-timestamp": "1795305600000",
    }


def test_what_is_sent_back_has_its_own_headers_and_those_that_its_next_dead_letter_counts_on() -> None:
    letter = read(as_read(letter_of(job((("a", b"1"), ("null", None), ("a", b"2"))))))
    assert replayed_headers(letter) == [
        ("a", b"1"),
        ("a", b"2"),
        ("dlq.attempts", b"1"),
        ("dlq.replays", b"1"),
        ("dlq.first-failure-time", b"2026-11-22T00:00:00.125Z"),
        ("dlq.first-topic", b"rerank-requests"),
        ("dlq.first-partition", b"3"),
        ("dlq.first-offset", b"41822"),
        ("dlq.first-timestamp", b"1795305600000"),
        ("dlq.null-headers", b"null"),
    ]


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


@pytest.mark.parametrize(
    "header",
    [
        ("dlq.attempts", b"many"),
        ("dlq.attempts", b"-3"),
        ("dlq.attempts", b"9" * 5000),
        ("dlq.attempts", b"\xff"),
        ("dlq.attempts", None),
        ("dlq.first-failure-time", b"yesterday"),
        ("dlq.first-failure-time", b"2026-99-22T00:00:00.125Z"),
    ],
)
def test_an_earlier_header_that_no_worker_wrote_counts_for_nothing(header: tuple[str, bytes | None]) -> None:
    headers = ours(letter_of(job((header,))))
    assert headers["dlq.attempts"] == "1"
    assert headers["dlq.first-failure-time"] == "2026-11-22T00:00:00.125Z"


def test_a_long_message_is_cut() -> None:
    letter = letter_of(job(fault=Fault("model", "score", "RuntimeError", "x" * 5000)))
    assert ours(letter)["dlq.error-message"] == "x" * 1000


def test_a_message_that_utf_8_cannot_hold_is_escaped() -> None:
    letter = letter_of(job(fault=Fault("model", "score", "OSError", "no file \udcff")))
    assert ours(letter)["dlq.error-message"] == "no file \\udcff"


def test_a_value_that_the_topic_refuses_is_described_instead() -> None:
    value = b"x" * 1000
    letter = letter_of(job((("a", b"1"),), value), keep="key_and_headers")
    digest = hashlib.sha256(value).hexdigest()
    assert letter.value is None
    assert letter.headers[0] == ("a", b"1")
    assert ours(letter)["dlq.value-dropped"] == f"bytes=1000 sha256={digest}"
    assert read(as_read(letter)).value_dropped == f"bytes=1000 sha256={digest}"


def test_of_a_record_whose_key_or_headers_are_too_large_only_its_place_is_kept() -> None:
    letter = letter_of(job((("a", b"1"), ("b", None))), keep="nothing")
    assert (letter.key, letter.value) == (None, None)
    assert {name for name, _ in letter.headers} == set(ours(letter))
    assert ours(letter)["dlq.key-dropped"] == f"bytes=4 sha256={hashlib.sha256(b'key' + bytes([255])).hexdigest()}"
    assert ours(letter)["dlq.headers-dropped"] == "2"
    assert read(as_read(letter)).offset == 41_822


def test_a_tombstone_has_no_value_to_drop() -> None:
    assert letter_of(job(value=None), keep="key_and_headers") == letter_of(job(value=None))


def test_what_was_written_is_read() -> None:
    letter = read(as_read(letter_of(job((("a", b"1"), ("b", b"\xff"))))))
    assert (letter.partition, letter.offset, letter.last_offset) == (Partition("rerank-requests", 3), 41_822, None)
    assert letter.timestamp_ms == 1_795_305_600_000
    assert (letter.key, letter.value) == (b"key\xff", b'{"x":1}')
    assert letter.headers == [("a", b"1"), ("b", b"\xff")]
    assert (letter.null_headers, letter.value_dropped) == ([], None)
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


def test_every_reason_an_event_is_refused_for_is_a_reason_of_a_dead_letter() -> None:
    assert set(events.REASONS) < set(REASONS)
    assert len(set(REASONS)) == len(REASONS)


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
    kept = [(name, text) for name, text in headers if text is not None and name not in names]
    found = read(as_read(letter))
    assert found.headers == ([] if keep == "nothing" else kept)
    assert found.value == (value if keep == "all" else None)
    nulls = {name for name, text in headers if text is None and name}
    assert keep == "nothing" or set(found.null_headers) >= nulls
    again = letter_of(job(tuple(letter.headers), value, fault), now_s=NOW_S + 5)
    assert ours(again)["dlq.first-failure-time"] == ours(letter)["dlq.first-failure-time"]
    assert int(ours(again)["dlq.attempts"]) == found.attempts + 1
    sent_back = job(tuple(replayed_headers(found)), value, fault)
    sent_back.record = replace(sent_back.record, offset=99)
    then = read(as_read(letter_of(sent_back, keep=keep)))
    assert (then.headers, then.null_headers) == (found.headers if keep != "nothing" else [], found.null_headers)
    assert (then.first, then.first_failure) == (found.first, found.first_failure)
    assert (then.attempts, then.replays, then.offset) == (found.attempts + 1, found.replays + 1, 99)

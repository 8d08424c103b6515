"""What is written of an event that cannot be reranked."""

import hashlib

import pytest

from tests.dead_letters.letters import NOW_S, as_read, job, letter_of, ours
from worker import events
from worker.dead_letters import REASONS, read
from worker.jobs import Fault


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


def test_a_given_key_is_for_a_letter_that_has_none_and_is_not_taken_for_the_events_own() -> None:
    whole = letter_of(job(), given_key=b"given")
    assert (whole.key, "dlq.key-given" in ours(whole)) == (b"key\xff", False)
    bare = letter_of(job(), given_key=b"given", keep="nothing")
    assert (bare.key, bare.value, ours(bare)["dlq.key-given"]) == (b"given", b"", "true")
    assert (read(as_read(bare)).key, read(as_read(bare)).value) == (None, None)


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


def test_every_reason_an_event_is_refused_for_is_a_reason_of_a_dead_letter() -> None:
    assert set(events.REASONS) < set(REASONS)
    assert len(set(REASONS)) == len(REASONS)

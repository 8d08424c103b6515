"""What is written of an event that cannot be reranked."""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.dead_letters.letters import NOW_S, as_read, job, letter_of, ours
from worker.dead_letters import REASONS, read
from worker.dead_letters import headers as headers_module
from worker.events import codec as events
from worker.flow.job import Fault
from worker.records import Dropped, Refused
from worker.tools.dead_letters.choice import VALUE_DROPPED, why_not
from worker.tools.dead_letters.options import ReplayOptions


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


def test_headers_without_a_value_stay_what_they_are() -> None:
    headers = (("a, b", None), ("c", b"1"), ("ü", None), ("ü", None))
    letter = letter_of(job(headers))
    assert letter.headers[:4] == list(headers)
    assert read(as_read(letter)).headers == list(headers)


def test_a_replayed_event_that_fails_again_counts_on() -> None:
    first = letter_of(job((("a", b"1"), ("null", None))))
    second = letter_of(job((*first.headers, ("empty", None))), now_s=NOW_S + 60, worker_version="0.2.0")
    assert second.headers[:3] == [("a", b"1"), ("null", None), ("empty", None)]
    names = [name for name, _ in second.headers]
    assert len(names) == len(set(names))
    assert ours(second) == ours(first) | {
        "dlq.attempts": "2",
        "dlq.worker-version": "0.2.0",
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
        ("dlq.first-topic", b"x" * 250),  # no topic has such a name, and no dead letter room for more and more of it
    ],
)
def test_an_earlier_header_that_no_worker_wrote_counts_for_nothing(header: tuple[str, bytes | None]) -> None:
    headers = ours(letter_of(job((header,))))
    assert "dlq.first-topic" not in headers
    assert headers["dlq.attempts"] == "1"
    assert headers["dlq.first-failure-time"] == "2026-11-22T00:00:00.125Z"


def test_a_long_message_is_cut() -> None:
    long = job(fault=Fault("model", "score", "RuntimeError", "x" * 5000))
    assert ours(letter_of(long))["dlq.error-message"] == "x" * 1000
    assert ours(letter_of(long, keep="nothing"))["dlq.error-message"] == "x" * 200


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


def test_of_what_was_too_large_for_the_memory_size_codec_and_the_last_offset_are_said() -> None:
    dropped = Dropped("bytes=629145600 codec=zstd", "bytes=70000 codec=zstd", 2)
    large = job(value=None, fault=Fault("too_large", "receive", "InvalidEvent", "event: expected less"))
    large.record = replace(large.record, refused=Refused("too_large", "expected less", None, 41_830, dropped))
    letter = letter_of(large)
    said = ours(letter)
    assert said["dlq.original-last-offset"] == "41830"
    assert said["dlq.value-dropped"] == "bytes=629145600 codec=zstd"
    assert (said["dlq.key-dropped"], said["dlq.headers-dropped"]) == ("bytes=70000 codec=zstd", "2")
    at = as_read(letter)
    found = read(at)
    assert (found.value, found.value_dropped, found.last_offset) == (None, dropped.value, 41_830)
    assert why_not(at, found, ReplayOptions()) == VALUE_DROPPED
    bare = letter_of(large, keep="nothing")
    assert ours(bare)["dlq.value-dropped"] == dropped.value
    assert ours(bare)["dlq.key-dropped"].startswith("bytes=4 sha256=")
    large.record = replace(large.record, refused=Refused("too_large", "expected less", None, 41_822, dropped))
    assert ours(letter_of(large))["dlq.original-last-offset"] == "41822"
    large.record = replace(large.record, refused=Refused("not_utf8", "expected names", "headers", 41_822))
    assert "dlq.original-last-offset" not in ours(letter_of(large))


def test_a_panic_of_the_validator_over_headers_that_came_costs_no_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as pyo3 names it
        pass

    def is_valid(_: object) -> bool:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(headers_module, "_EARLIER", SimpleNamespace(is_valid=is_valid))
    assert ours(letter_of(job((("dlq.attempts", b"3"),))))["dlq.attempts"] == "1"


def test_a_tombstone_has_no_value_to_drop() -> None:
    assert letter_of(job(value=None), keep="key_and_headers") == letter_of(job(value=None))


def test_every_reason_an_event_is_refused_for_is_a_reason_of_a_dead_letter() -> None:
    assert set(events.REASONS) < set(REASONS)
    assert len(set(REASONS)) == len(REASONS)

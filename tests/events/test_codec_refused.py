from typing import Any

import orjson
import pytest

from tests.support.make_events import DECODER, decode, event, nested, record
from worker.events.codec import REASONS, Decoder, EventOptions, InvalidEvent


def refusal(value: bytes | None, options: EventOptions | None = None) -> InvalidEvent:
    decoder = DECODER if options is None else Decoder(options)
    with pytest.raises(InvalidEvent) as caught:
        decoder.decode(record(value))
    assert caught.value.reason in REASONS
    return caught.value


def test_a_tombstone_is_refused() -> None:
    error = refusal(None)
    assert error.reason == "tombstone"
    assert str(error) == "event: expected a JSON object, got a record without a value (a tombstone)"


def test_a_record_of_10_mb_is_refused_unread() -> None:
    error = refusal(b"\xff" * 10_000_000)
    assert error.reason == "too_large"
    assert str(error) == "event: expected at most 4194304 bytes, got 10000000"


@pytest.mark.parametrize("value", [b"", b"  \n", b"\xef\xbb\xbf"])
def test_an_empty_value_is_refused(value: bytes) -> None:
    error = refusal(value)
    assert error.reason == "not_json"
    assert str(error) == "event: expected a JSON object, got an empty value"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b'{"query":"\xff"}', "expected UTF-8, got the byte 0xff at position 10"),
        (b'{"query":"\xed\xa0\x80"}', "expected UTF-8, got the byte 0xed at position 10"),
        ('{"query": "lämp"}'.encode("latin-1"), "expected UTF-8, got the byte 0xe4 at position 12"),
        (orjson.dumps(event()).decode().encode("utf-16"), "expected UTF-8, got the byte 0xff at position 0"),
    ],
)
def test_what_is_not_utf_8_is_refused(value: bytes, message: str) -> None:
    error = refusal(value)
    assert (error.reason, error.message, error.path) == ("not_utf8", message, None)


@pytest.mark.parametrize(
    ("value", "near"),
    [
        (b"desk lamp", '"desk lamp" at line 1 column 1: '),
        (b'{"request_id":"r1",\n "query":', '"the end" at line 2 column 10: '),
        (b"{'request_id': 'r1'}", "\"'request_id': 'r1'}\" at line 1 column 2: "),
        (b'{"request_id":"r1"} {}', '"{}" at line 1 column 21: '),
        (b'{"query":"\\ud800"}', " at line 1 column "),  # half a surrogate pair
        (b'{"query":"a\x00b"}', " at line 1 column "),
    ],
)
def test_what_is_not_json_is_refused(value: bytes, near: str) -> None:
    error = refusal(value)
    assert error.reason == "not_json"
    assert str(error).startswith("event: expected JSON, got ")
    assert near in str(error)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" + b"0" * 400])
def test_a_number_that_is_not_finite_is_refused(number: bytes) -> None:
    value = orjson.dumps(event(candidates=[{"id": "a", "text": "lamp", "score": 0.25}])).replace(b"0.25", number)
    assert refusal(value).reason == "not_json"


@pytest.mark.parametrize("levels", [300, 1_000, 5_000, 1_000_000])
def test_deep_nesting_is_refused_wherever_the_event_would_have_to_be_written_or_searched(levels: int) -> None:
    valid = orjson.dumps(event())[:-1]
    for value in (
        nested(levels),
        valid + b',"metadata":' + nested(levels) + b"}",
        b'{"query":' + nested(levels) + b"}",
    ):
        error = refusal(value)
        assert error.reason == "too_deep"
        assert error.message == "expected at most 250 levels of nesting, got more"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([event()], "event: expected an object, got an array of 1"),
        ("text", 'event: expected an object, got "text"'),
        (None, "event: expected an object, got null"),
        (event(request_id=7), "request_id: expected a string, got 7"),
        (event(request_id=None), "request_id: expected a string, got null"),
        (event(request_id=""), "request_id: expected 1 to 256 characters, got 0"),
        (event(request_id="r" * 257), "request_id: expected 1 to 256 characters, got 257"),
        (event(query=""), 'query: expected more than white space, got ""'),
        (event(query=" \t\u3000"), 'query: expected more than white space, got " \\t\u3000"'),
        (event(query=["a"]), "query: expected a string, got an array of 1"),
        (event(candidates=[]), "candidates: expected 1 to 1000, got 0"),
        (event(candidates={}), "candidates: expected an array, got an object"),
        (event(candidates=["a"]), 'candidates[0]: expected an object, got "a"'),
        (event(candidates=[{"text": "lamp"}]), "candidates[0].id: expected this required field, got none"),
        (event(candidates=[{"id": 1, "text": "lamp"}]), "candidates[0].id: expected a string, got 1"),
        (event(candidates=[{"id": "a"}]), "candidates[0]: expected text or fields, got neither"),
        (event(candidates=[{"id": "a", "text": None}]), "candidates[0]: expected text or fields, got neither"),
        (event(candidates=[{"id": "a", "text": 5}]), "candidates[0].text: expected a string, got 5"),
        (
            event(candidates=[{"id": "a", "fields": {"color": {"hex": "f00"}}}]),
            "candidates[0].fields.color: expected a string, a number, a boolean or an array, got an object",
        ),
        (
            event(
                candidates=[{"id": "a", "text": "lamp"}, {"id": "b", "fields": {"bullet_points": ["LED", [None, {}]]}}]
            ),
            (
                "candidates[1].fields.bullet_points[1][1]: "
                "expected a string, a number, a boolean or an array, got an object"
            ),
        ),
        (
            event(candidates=[{"id": "a", "text": "lamp", "score": "NaN"}]),
            'candidates[0].score: expected a number, got "NaN"',
        ),
        (event(top_k=0), "top_k: expected at least 1, got 0"),
        (event(top_k=True), "top_k: expected an integer, got true"),
        (event(budget_ms=0), "budget_ms: expected more than 0, at most 600000, got 0"),
        (event(budget_ms=600_001), "budget_ms: expected more than 0, at most 600000, got 600001"),
        (event(priority=10), "priority: expected 0 to 9, got 10"),
        (event(priority=1.5), "priority: expected an integer, got 1.5"),
    ],
)
def test_an_event_that_breaks_the_schema_is_refused(document: Any, message: str) -> None:
    error = refusal(orjson.dumps(document))
    assert (error.reason, str(error)) == ("schema", message)


@pytest.mark.parametrize("name", ["request_id", "query", "candidates"])
def test_a_missing_field_is_refused(name: str) -> None:
    error = refusal(orjson.dumps({key: value for key, value in event().items() if key != name}))
    assert str(error) == f"{name}: expected this required field, got none"
    assert (error.reason, error.path) == ("schema", name)


def test_more_candidates_than_the_limit_are_refused() -> None:
    value = orjson.dumps(event(candidates=[{"id": str(i), "text": "lamp"} for i in range(1001)]))
    assert str(refusal(value)) == "candidates: expected 1 to 1000, got 1001"
    assert str(refusal(value, EventOptions(max_candidates=20))) == "candidates: expected 1 to 20, got 1001"


def test_candidates_with_the_same_id_are_refused() -> None:
    ids = ["a", "b", "c", "b"]
    error = refusal(orjson.dumps(event(candidates=[{"id": name, "text": "lamp"} for name in ids])))
    assert error.reason == "duplicate_ids"
    assert str(error) == 'candidates[3].id: expected unique ids, got "b", the id of candidates[1]'


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (event(query="x" * 11), "query: expected at most 10 characters, got 11"),
        (
            event(candidates=[{"id": "a", "text": "x" * 12}]),
            "candidates[0].text: expected at most 10 characters, got 12",
        ),
        (
            event(candidates=[{"id": "a", "text": "x"}, {"id": "b", "fields": {"title": "x" * 5, "brand": "y" * 5}}]),
            "candidates[1].fields: expected at most 10 characters, got 11",
        ),
    ],
)
def test_oversize_text_is_refused(document: Any, message: str) -> None:
    error = refusal(orjson.dumps(document), EventOptions(max_text_chars=10))
    assert (error.reason, str(error)) == ("text_too_long", message)


def test_an_object_deep_inside_an_attribute_is_told_by_the_first_steps_to_it() -> None:
    inside = b'{"request_id":"r1","query":"lamp","candidates":[{"id":"a","fields":{"title":%b}}]}'
    error = refusal(inside % nested(900).replace(b"[]", b"[{}]"))
    assert (error.reason, error.path) == ("schema", "candidates[0].fields.title" + "[0]" * 10)


def test_a_text_as_long_as_the_limit_is_accepted() -> None:
    assert decode(event(query="x" * 10), EventOptions(max_text_chars=10)).query == "x" * 10


def test_an_event_in_which_no_candidate_has_text_is_refused() -> None:
    candidates = [{"id": "a", "text": " "}, {"id": "b", "fields": {"name": "Lamp"}}]
    error = refusal(orjson.dumps(event(candidates=candidates)), EventOptions(product_fields=("title", "brand")))
    assert error.reason == "no_text"
    assert str(error) == (
        "candidates: expected text in at least one, got none in 2; attributes that are read: title, brand"
    )

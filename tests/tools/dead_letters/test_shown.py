"""One dead letter as a whole, whatever its value and headers are."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.make_events import nested
from tests.tools.dead_letters.making import a_letter, as_record
from worker.records import Headers, Partition, Record
from worker.tools.dead_letters.shown import whole, whole_json


def record(value: bytes | None, headers: Headers = (), key: bytes | None = b"k") -> Record:
    return Record(Partition("letters", 0), 7, 0, key, value, headers)


def value_shown(value: bytes | None) -> str:
    return whole(record(value)).split("\n\n", 2)[2]


def test_it_says_where_it_is_what_was_wrong_and_what_the_headers_and_the_value_are() -> None:
    lines = whole(as_record(a_letter(3, headers=(("a", b"1"), ("b", b"\xff"))))).splitlines()
    assert lines[:6] == [
        "rerank-dead-letters partition 0 offset 7, written 2026-11-22T00:00:00.125Z",
        "schema in decode: InvalidEvent: candidates: expected 1 to 1000, got 0",
        "",
        "key      key",
        "header   a: 1",
        "header   b: 0xff",
    ]
    assert "header   dlq.original-offset: 3" in lines
    assert lines[-5:] == ["{", '  "request_id": "r3",', '  "query": "lamp",', '  "candidates": []', "}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}'),
        (b"{not json", "{not json"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"\xff\x00hello", "00000000  ff 00 68 65 6c 6c 6f                             ..hello"),
        (b"", "an empty value"),
        (None, "no value"),
    ],
)
def test_a_value_is_shown_as_json_else_as_text_else_in_hexadecimal(value: bytes | None, text: str) -> None:
    assert value_shown(value) == text


def test_json_that_is_too_deep_to_be_laid_out_is_shown_as_it_is() -> None:
    assert value_shown(nested(500)) == nested(500).decode()


def test_hexadecimal_has_sixteen_bytes_a_line() -> None:
    assert len(value_shown(b"\xff" * 33).splitlines()) == 3


def test_a_value_that_was_not_kept_is_described() -> None:
    assert "the value was too large to be kept: bytes=55 sha256=" in whole(as_record(a_letter(keep="key_and_headers")))


def test_what_is_no_dead_letter_is_shown_too() -> None:
    shown = whole(record(b"{}", (("x", None),), key=None))
    assert "not a dead letter: letters[0] offset 7 is not a dead letter: header dlq." in shown
    assert "key      none\nheader   x: null" in shown


def test_a_header_stays_on_its_line() -> None:
    assert "header   a\\nb: 1\\n2\n" in whole(record(b"{}", (("a\nb", b"1\n2"),)))


def test_as_json_it_has_the_headers_in_their_order_and_the_value_as_far_as_it_can_be_read() -> None:
    shown = whole_json(as_record(a_letter(3, headers=(("a", b"1"), ("a", b"\xff")))))
    assert shown["headers"][:2] == [{"name": "a", "text": "1"}, {"name": "a", "hex": "ff"}]
    assert (shown["reason"], shown["value"]["json"]["request_id"]) == ("schema", "r3")
    assert whole_json(record(b"{"))["value"] == {"text": "{"}
    assert whole_json(record(None))["value"] is None


@given(
    st.none() | st.binary(max_size=60) | st.text(max_size=30).map(str.encode),
    st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=10)), max_size=4).map(tuple),
    st.none() | st.binary(max_size=10),
)
def test_any_record_can_be_shown_and_steers_no_terminal(
    value: bytes | None, headers: Headers, key: bytes | None
) -> None:
    shown = whole(record(value, headers, key))
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    as_json = orjson.loads(orjson.dumps(whole_json(record(value, headers, key))))
    assert [header["name"] for header in as_json["headers"]] == [name for name, _ in headers]

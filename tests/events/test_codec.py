import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.make_events import DECODER, decode, encode, event, nested, record
from worker.events.codec import Decoder, EventOptions
from worker.events.schema import load_schema
from worker.flow.job import Request


def text_of(fields: dict[str, Any], **options: Any) -> str:
    candidates = [{"id": "a", "fields": fields}, {"id": "b", "text": "other"}]
    return decode(event(candidates=candidates), EventOptions(**options)).texts[0]


def test_a_request_has_what_the_event_says() -> None:
    candidates = [{"id": "a", "text": "lamp", "score": 1.5}, {"id": "b", "fields": {"title": "Lamp"}}]
    document = event(candidates=candidates, top_k=5, budget_ms=80.5, priority=9, metadata={"page": [1, None]})
    request = decode(document)
    assert orjson.dumps(request.metadata) == b'{"page":[1,null]}'
    assert replace(request, metadata=None) == Request(
        request_id="r1",
        query="desk lamp",
        candidate_ids=["a", "b"],
        texts=["lamp", "Lamp"],
        top_k=5,
        budget_ms=80.5,
        priority=9,
    )


def test_what_an_event_does_not_say_has_its_default() -> None:
    assert decode(event()) == Request("r1", "desk lamp", ["a"], ["lamp"])


def test_an_optional_field_that_is_null_counts_as_absent() -> None:
    null = dict.fromkeys(("top_k", "budget_ms", "priority", "metadata"))
    candidate = {"id": "a", "text": "lamp", "fields": None, "score": None}
    assert decode(event(candidates=[candidate], **null)) == decode(event())


def test_unknown_fields_are_ignored() -> None:
    candidate = {"id": "a", "text": "lamp", "price": {"eur": 3}}
    assert decode(event(candidates=[candidate], tenant="x")) == decode(event())


def test_a_whole_number_written_as_a_float_is_an_integer() -> None:
    request = decode(event(top_k=3.0, priority=2.0))
    assert (repr(request.top_k), repr(request.priority)) == ("3", "2")


def test_a_byte_order_mark_is_skipped() -> None:
    assert DECODER.decode(record(b"\xef\xbb\xbf" + orjson.dumps(event()))) == decode(event())


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    value = orjson.dumps(event())[:-1] + b',"query":"floor lamp"}'
    assert DECODER.decode(record(value)).query == "floor lamp"


def test_a_nul_character_is_text_like_any_other() -> None:
    assert decode(event(query="desk\0lamp")).query == "desk\0lamp"


def test_null_headers_do_not_matter() -> None:
    value = orjson.dumps(event())
    assert DECODER.decode(record(value, headers=(("traceparent", None),))) == decode(event())


def test_the_examples_of_the_schema_are_decoded() -> None:
    first, second = (decode(example) for example in load_schema("rerank-request.v1.json")["examples"])
    assert first.texts[0] == "Trail Runner 3 Northpeak grey breathable mesh for dry paths"
    assert second == Request("smallest", "desk lamp", ["1"], ["LED desk lamp with dimmer"])


def test_metadata_of_250_levels_is_carried() -> None:
    value = orjson.dumps(event())[:-1] + b',"metadata":' + nested(250) + b"}"
    request = DECODER.decode(record(value))
    assert orjson.loads(encode(request, [0.5]))["metadata"] == orjson.loads(nested(250))


def test_fields_are_joined_in_the_configured_order() -> None:
    fields = {"color": "red", "title": "Lamp", "brand": "Lux"}
    assert text_of(fields) == "Lamp Lux red"
    assert text_of(fields, product_fields=("color", "title"), field_separator=" | ") == "red | Lamp"


def test_the_option_goes_before_the_models_own_fields_and_those_before_the_usual_ones() -> None:
    value = orjson.dumps(event(candidates=[{"id": "a", "fields": {"color": "red", "title": "Lamp", "brand": "Lux"}}]))

    def read(options: EventOptions, *of_model: str) -> Any:
        return Decoder(options, of_model or None).decode(record(value)).texts

    assert read(EventOptions()) == ["Lamp Lux red"]
    assert read(EventOptions(), "title") == ["Lamp"]
    assert read(EventOptions(product_fields=("brand",)), "title") == ["Lux"]


def test_fields_that_are_missing_or_blank_leave_no_gap() -> None:
    assert text_of({"title": " Lamp\n", "brand": None, "color": "", "bullet_points": [], "description": "  "}) == "Lamp"


def test_lists_are_joined_like_fields() -> None:
    assert text_of({"title": "Lamp", "bullet_points": [" dimmable ", "", "LED"]}) == "Lamp dimmable LED"


def test_numbers_and_booleans_are_written_as_json_writes_them() -> None:
    fields = {"watts": 40, "price": 19.5, "led": True, "used": False}
    assert text_of(fields, product_fields=("watts", "price", "led", "used")) == "40 19.5 true false"


def test_lists_may_hold_whatever_has_a_text_and_lists_of_it_and_nulls_in_them_leave_no_gap() -> None:
    fields = {"title": [None], "brand": [["Lux", [40, 19.5]], []], "color": [True, None, False, " red "]}
    assert text_of(fields) == "Lux 40 19.5 true false red"


@pytest.mark.parametrize("value", [{"Voltage": "18 V"}, [["Tools", "Drills"]], [7, None, {"a": []}], {}, None])
def test_an_attribute_that_is_not_read_may_be_anything(value: Any) -> None:
    assert text_of({"title": "Lamp", "attrs": value}) == "Lamp"
    candidate = {"id": "a", "text": "lamp", "fields": {"title": value}}
    assert decode(event(candidates=[candidate])).texts == ["lamp"]


def test_lists_are_read_and_others_ignored_however_deep_they_are() -> None:
    inside = b'{"request_id":"r1","query":"lamp","candidates":[{"id":"a","fields":{"title":"Lamp","%b":%b}}]}'
    for name in (b"attrs", b"brand"):
        assert DECODER.decode(record(inside % (name, nested(900)))).texts == ["Lamp"]


def test_text_wins_over_fields_and_is_left_as_it_came() -> None:
    candidate = {"id": "a", "text": " a lamp ", "fields": {"title": "Lamp"}}
    assert decode(event(candidates=[candidate])).texts == [" a lamp "]


def test_a_candidate_without_text_is_kept_beside_one_with_text() -> None:
    candidates = [{"id": "a", "text": ""}, {"id": "b", "fields": {"sku": "7"}}, {"id": "c", "text": "lamp"}]
    assert decode(event(candidates=candidates)).texts == ["", "", "lamp"]


def test_a_result_is_written_as_the_schema_says() -> None:
    request = Request("r1", "desk lamp", ["a", "b"], ["x", "y"], metadata={"page": 1})
    value = encode(request, [0.0, 2.5], truncated=1, timing_ms={"score": 8.00049, "total": -0.5}, deadline_met=False)
    assert orjson.loads(value) == {
        "request_id": "r1",
        "query": "desk lamp",
        "outcome": "reranked",
        "reason": "complete",
        "ranking": [
            {"id": "b", "rank": 1, "score": 1 / (1 + math.exp(-2.5)), "logit": 2.5, "previous_rank": 2},
            {"id": "a", "rank": 2, "score": 0.5, "logit": 0.0, "previous_rank": 1},
        ],
        "model": {"id": "some/model", "revision": "abc123"},
        "timing_ms": {"score": 8.0, "total": 0.0},
        "deadline_met": False,
        "truncated": 1,
        "source": {"topic": "requests", "partition": 3, "offset": 42},
        "metadata": {"page": 1},
    }


def test_a_candidate_that_was_not_scored_has_neither_score_nor_logit() -> None:
    result = orjson.loads(encode(Request("r", "q", ["a", "b", "c"], ["x"] * 3), [math.nan, 1.0, math.nan]))
    assert result["outcome"] == "partial"
    assert [(row["id"], row["score"] is None, row["logit"] is None) for row in result["ranking"]] == [
        ("b", False, False),
        ("a", True, True),
        ("c", True, True),
    ]


@pytest.mark.parametrize(
    ("top_k", "ids"), [(1, ["b"]), (2, ["b", "c"]), (9, ["b", "c", "a"]), (10**300, ["b", "c", "a"])]
)
def test_the_result_lists_the_top_k(top_k: int, ids: list[str]) -> None:
    result = orjson.loads(encode(Request("r", "q", ["a", "b", "c"], ["x"] * 3, top_k=top_k), [1.0, 3.0, 2.0]))
    assert [row["id"] for row in result["ranking"]] == ids

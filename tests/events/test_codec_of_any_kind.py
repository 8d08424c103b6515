import math
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.support.make_events import DECODER, decode, encode, record
from worker.events.codec import REASONS, InvalidEvent
from worker.events.schema import Contract, load_schema
from worker.flow.job import Request

RESULT = Contract(load_schema("rerank-result.v1.json"))

any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=20,
)
one_value = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | st.text()
read_attributes = st.dictionaries(
    st.sampled_from(["title", "brand", "color", "bullet_points", "description"]),
    st.recursive(one_value, lambda inner: st.lists(inner, max_size=4), max_leaves=8),
)
other_attributes = st.dictionaries(st.sampled_from(["sku", "attrs"]), any_json)
attributes = st.builds(lambda read, other: {**read, **other}, read_attributes, other_attributes)
text_or_fields = st.fixed_dictionaries({"text": st.text()}) | st.fixed_dictionaries({"fields": attributes})
candidate_lists = st.lists(
    st.tuples(st.text(min_size=1, max_size=512), text_or_fields),
    min_size=1,
    max_size=30,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: [{"id": name, **content} for name, content in pairs])
valid_events = st.fixed_dictionaries(
    {
        "request_id": st.text(min_size=1, max_size=256),
        "query": st.text().map(lambda text: text + "lamp"),
        "candidates": candidate_lists.map(lambda some: [{"id": "anchor" * 85, "text": "lamp"}, *some]),
    },
    optional={
        "top_k": st.none() | st.integers(1, 2**63),
        "budget_ms": st.none() | st.floats(0, 600_000, exclude_min=True),
        "priority": st.none() | st.integers(0, 9),
        "metadata": any_json,
        "unknown": any_json,
    },
)


def decoded_or_refused(value: bytes) -> None:
    refused = None
    try:
        request = DECODER.decode(record(value))
    except InvalidEvent as error:
        refused = error
    if refused is None:
        assert isinstance(request, Request)
    else:
        assert refused.reason in REASONS
        assert len(str(refused)) < 600
        assert "\n" not in str(refused)


@given(st.binary())
def test_any_bytes_are_a_request_or_an_invalid_event(value: bytes) -> None:
    decoded_or_refused(value)


@given(any_json)
def test_any_json_is_a_request_or_an_invalid_event(document: Any) -> None:
    decoded_or_refused(orjson.dumps(document))


@given(st.data(), valid_events)
def test_any_json_in_a_field_is_a_request_or_an_invalid_event(data: st.DataObject, document: dict[str, Any]) -> None:
    name = data.draw(st.sampled_from(["request_id", "query", "candidates", "top_k", "budget_ms", "priority", "inside"]))
    if name == "inside":
        inside = data.draw(st.sampled_from(["id", "text", "fields", "score"]))
        document["candidates"][-1][inside] = data.draw(any_json)
    else:
        document[name] = data.draw(any_json)
    decoded_or_refused(orjson.dumps(document))


@given(valid_events)
def test_every_valid_event_is_decoded(document: dict[str, Any]) -> None:
    request = decode(document)
    assert request.request_id == document["request_id"]
    assert request.query == document["query"]
    assert request.candidate_ids == [candidate["id"] for candidate in document["candidates"]]
    assert len(request.texts) == len(document["candidates"])
    assert [
        (text, candidate["text"])
        for text, candidate in zip(request.texts, document["candidates"], strict=True)
        if "text" in candidate and text != candidate["text"]
    ] == []
    assert (request.top_k, request.budget_ms) == (document.get("top_k"), document.get("budget_ms"))
    assert request.priority == (document.get("priority") or 0)
    assert orjson.loads(orjson.dumps(request.metadata)) == document.get("metadata")


@given(valid_events, st.data())
def test_every_result_is_valid(document: dict[str, Any], data: st.DataObject) -> None:
    request = decode(document)
    count = len(request.candidate_ids)
    logit = st.floats(width=32, allow_infinity=False) | st.just(math.nan)
    logits = data.draw(st.lists(logit, min_size=count, max_size=count))
    result = orjson.loads(encode(request, logits, truncated=data.draw(st.none() | st.integers(0, count))))
    assert RESULT.is_valid(result), RESULT.find(result)
    assert [row["rank"] for row in result["ranking"]] == list(range(1, min(count, request.top_k or count) + 1))
    assert all(request.candidate_ids[row["previous_rank"] - 1] == row["id"] for row in result["ranking"])
    assert result["metadata"] == document.get("metadata")

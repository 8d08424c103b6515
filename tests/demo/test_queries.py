"""The shipped queries: valid requests, in the order that a keyword search gives."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import worker.demo

QUERIES = Path(worker.demo.__file__).parent / "queries.jsonl"
EVENTS: list[dict[str, Any]] = [json.loads(line) for line in QUERIES.read_text(encoding="utf-8").splitlines()]
each_event = pytest.mark.parametrize("event", EVENTS, ids=[event["query"] for event in EVENTS])


def catalogue() -> dict[str, dict[str, Any]]:
    return {product["id"]: product["fields"] for event in EVENTS for product in event["candidates"]}


def words(text: str) -> list[str]:
    """Words as a keyword search indexes them: lower-cased, without a plural's s."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word for word in found]


def flat(fields: dict[str, Any]) -> str:
    return " ".join(" ".join(value) if isinstance(value, list) else value for value in fields.values())


def test_there_are_about_25_distinct_queries() -> None:
    assert 20 <= len({event["query"] for event in EVENTS}) == len(EVENTS) <= 30
    assert len({event["request_id"] for event in EVENTS}) == len(EVENTS)


@each_event
def test_an_event_meets_the_request_schema(event: dict[str, Any]) -> None:
    validator = pytest.importorskip("jsonschema_rs")
    schema = Path(__file__).parents[2] / "schemas/rerank-request.v1.json"
    validator.validator_for(json.loads(schema.read_text())).validate(event)


@each_event
def test_an_event_has_20_to_60_candidates_with_ids_of_their_own(event: dict[str, Any]) -> None:
    ids = [product["id"] for product in event["candidates"]]
    assert 20 <= len(set(ids)) == len(ids) <= 60


@each_event
def test_the_first_stage_order_is_that_of_its_scores(event: dict[str, Any]) -> None:
    scores = [product["score"] for product in event["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0


@each_event
def test_an_event_has_exact_matches_and_candidates_that_are_not(event: dict[str, Any]) -> None:
    labels = Counter(product["relevance"] for product in event["candidates"])
    assert set(labels) <= {1.0, 0.1, 0.01, 0.0}
    assert labels[1.0] >= 2
    assert labels[0.1] >= 2
    assert labels[0.01] >= 2
    assert labels[0.0] >= 2


def test_an_id_means_one_product_everywhere() -> None:
    products = catalogue()
    for event in EVENTS:
        assert all(products[product["id"]] == product["fields"] for product in event["candidates"])
    titles = [fields["title"] for fields in products.values()]
    assert len(set(titles)) == len(titles)


def test_the_scores_are_bm25_over_the_whole_catalogue() -> None:
    bm25 = pytest.importorskip("rank_bm25")
    products = catalogue()
    index = bm25.BM25Okapi([words(flat(fields)) for fields in products.values()])
    for event in EVENTS:
        scores = dict(zip(products, index.get_scores(words(event["query"])), strict=True))
        listed = [product["id"] for product in event["candidates"]]
        assert [product["score"] for product in event["candidates"]] == pytest.approx(
            [scores[name] for name in listed], abs=1e-4
        )
        unlisted = [score for name, score in scores.items() if name not in set(listed)]
        assert max(unlisted) <= event["candidates"][-1]["score"] + 1e-4


def test_the_title_scores_are_bm25_over_the_titles_of_the_whole_catalogue() -> None:
    bm25 = pytest.importorskip("rank_bm25")
    products = catalogue()
    index = bm25.BM25Okapi([words(fields["title"]) for fields in products.values()])
    for event in EVENTS:
        scores = dict(zip(products, index.get_scores(words(event["query"])), strict=True))
        for product in event["candidates"]:
            assert product["title_score"] == pytest.approx(scores[product["id"]], abs=1e-9)


def test_the_file_is_small_enough_for_a_repository() -> None:
    assert QUERIES.stat().st_size < 900_000

"""The lists that the demo sends: like is compared with like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from worker.events.codec import USUAL_PRODUCT_FIELDS, EventOptions
from worker.tools.demo.queries import QUERIES, judged_lists, shipped_events
from worker.tools.events_file import read_events
from worker.training.quality import ndcg

if TYPE_CHECKING:
    from pathlib import Path


def quality(fields: tuple[str, ...]) -> float:
    """Return the mean NDCG@10 of the lists as they are sent to a model that reads these fields."""
    lists = [np.array([row["relevance"] for row in event["candidates"]]) for event in judged_lists(fields).events]
    return float(np.mean([ndcg(relevance, -np.arange(len(relevance), dtype=float)) for relevance in lists]))


def test_a_model_that_reads_titles_is_sent_the_order_of_bm25_over_titles() -> None:
    lists = judged_lists(("title",))
    for event in lists.events:
        scores = [candidate["title_score"] for candidate in event["candidates"]]
        assert scores == sorted(scores, reverse=True)
    assert (lists.first_stage, lists.model) == ("BM25 over titles", "the model over titles")
    assert quality(("title",)) == pytest.approx(0.686, abs=0.001)


def test_any_other_model_is_sent_the_shipped_order_which_is_that_of_bm25_over_all_attributes() -> None:
    lists = judged_lists(USUAL_PRODUCT_FIELDS)
    assert lists.events == shipped_events()
    assert lists.first_stage == "BM25 over all attributes"
    assert lists.model == "the model over title, brand, color, bullet_points, description"
    assert quality(USUAL_PRODUCT_FIELDS) == pytest.approx(0.348, abs=0.001)


def test_both_orders_have_the_same_candidates() -> None:
    for event, shipped in zip(judged_lists(("title",)).events, shipped_events(), strict=True):
        assert sorted(row["id"] for row in event["candidates"]) == sorted(row["id"] for row in shipped["candidates"])


def test_the_written_lists_are_events_in_the_order_that_was_sent(tmp_path: Path) -> None:
    lists = judged_lists(("title",))
    written = read_events(str(lists.write(tmp_path / "queries.jsonl")), EventOptions())
    assert [event.request.candidate_ids for event in written] == [
        [candidate["id"] for candidate in event["candidates"]] for event in lists.events
    ]
    assert len(read_events(str(QUERIES), EventOptions())) == len(written)

"""Figures of round trips: quality, percentiles, budgets."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rich.console import Console

from worker.tools import summary as figures
from worker.tools.demo.demo import easy_rate
from worker.tools.demo.queries import JudgedLists
from worker.tools.demo.report import show_figures, troubles
from worker.tools.round_trips import Round, Trip

LISTS = JudgedLists([], "BM25 over titles", "the model over titles")


def trip(number: int, *, took_s: float | None = 0.1, order: tuple[int, ...] = (0, 1), **result: Any) -> Trip:
    """Make the trip of two candidates, the second of which is the relevant one; `order` is how they came back."""
    event = {
        "request_id": f"r{number}",
        "query": f"q{number}",
        "candidates": [{"id": "a", "relevance": 0.0}, {"id": "b", "relevance": 1.0}],
        "budget_ms": 200.0 if number == 0 else None,
    }
    made = Trip(event, sent_s=float(number))
    if took_s is not None:
        made.came_s = number + took_s
        made.result = {
            "ranking": [
                {"id": "ab"[at], "rank": rank, "previous_rank": at + 1, "score": 0.5}
                for rank, at in enumerate(order, start=1)
            ],
            "deadline_met": True,
            "outcome": "reranked",
            "timing_ms": {"total": 90.0, "decode": 1.0, "tokenize": 2.0, "score": 80.0},
            **result,
        }
    return made


def printed(table: object) -> dict[str, str]:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    shown: dict[str, str] = {}
    for line in filter(str.strip, capture.get().splitlines()):
        name, _, value = line.rstrip().rpartition("  ")
        if name.strip():
            shown[name.strip()] = value.strip()
        elif shown:  # a cell of several lines
            shown[next(reversed(shown))] += f"\n{value.strip()}"
    return shown


def said(name: str, *trips: Trip) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        show_figures(console, {name: Round(list(trips))}, LISTS, default_budget_ms=1000)
    return " ".join(capture.get().split())


def quality(*trips: Trip) -> tuple[float, float, int]:
    found = figures.quality(trips)
    assert found is not None
    return found


def test_quality_is_the_mean_ndcg_before_and_after() -> None:
    second_place = 1 / math.log2(3)
    before, after, lists = quality(trip(0, order=(1, 0)), trip(1))
    assert before == pytest.approx(second_place)
    assert after == pytest.approx((1 + second_place) / 2)
    assert lists == 2


def test_candidates_that_a_result_leaves_out_count_as_last() -> None:
    assert quality(trip(0, order=(0,)))[1] == pytest.approx(1 / math.log2(3))
    assert quality(trip(0, order=(1,)))[1] == 1.0


def test_lists_without_a_judgement_have_no_quality() -> None:
    unjudged = trip(0)
    unjudged.event = {**unjudged.event, "candidates": [{"id": "a"}, {"id": "b"}]}
    assert figures.quality([unjudged]) is None


def test_percentiles_are_values_that_occurred() -> None:
    assert figures.percentiles_ms([number / 1000 for number in range(1, 101)]) == "50 / 95 / 99"
    assert figures.percentiles_ms([0.25]) == "250 / 250 / 250"


def test_the_table_counts_what_came_back() -> None:
    late = trip(1, took_s=0.4, deadline_met=False, outcome="partial")
    late.result["ranking"][1]["score"] = None
    shown = printed(figures.table({"round": Round([trip(0), late])}, 1000.0))
    assert shown["results"] == "2"
    assert shown["pairs scored"] == "3"
    assert shown["seconds"] == "1.4"
    assert shown["throughput, events/s"] == "1.4"
    assert shown["latency p50 / p95 / p99, ms"] == "100 / 400 / 400"
    assert shown["latency budget, ms"] == "200 to 1,000"
    assert shown["in budget"] == "1 of 2 (50%)"
    assert shown["mean: decode and tokenize"] == "3.0"


def test_lists_in_budget_are_never_counted_without_how_they_were_scored() -> None:
    trips = [trip(0), trip(1, deadline_met=False), trip(2, outcome="partial"), trip(3, outcome="passthrough")]
    shown = printed(figures.table({"round": Round(trips)}, 1000.0))
    assert shown["scored whole / partly / not at all"] == "2 / 1 / 1"
    assert shown["in budget"] == "3 of 4 (75%)"
    assert shown["of them whole / partly / not at all"] == "1 / 1 / 1"


def test_what_did_not_come_back_is_named() -> None:
    refused = trip(1, took_s=None)
    refused.came_s, refused.dead_letter = 1.2, "candidates: expected 1 to 1000, got 0"
    assert troubles({"round": Round([trip(0), refused, trip(2, took_s=None)])}) == (
        "round: 1 of 3 results are missing, the first: r2\n"
        "round: r1 is a dead letter: candidates: expected 1 to 1000, got 0"
    )
    assert troubles({"round": Round([trip(0)])}) == ""


def test_what_was_not_scored_for_want_of_time_is_said_where_the_mean_is_lower_for_it() -> None:
    degraded = trip(1, outcome="passthrough")
    assert "1 of these 2 lists were not scored as a whole" in said("one by one", trip(0), degraded)
    assert "RERANK_ON_OVERLOAD=score" in said("one by one", trip(0), degraded)
    assert "not scored" not in said("one by one", trip(0), trip(2))


def test_the_mean_says_what_has_ordered_the_lists_before_and_after() -> None:
    shown = said("one by one", trip(0))
    assert "Mean NDCG@10 of 1 queries: 0.631 by BM25 over titles, 0.631 by the model over titles." in shown
    assert "one reader judged them" in shown


def test_the_burst_gets_one_sentence_that_says_what_it_shows() -> None:
    shown = said("all at once", trip(0), trip(1))
    assert "All at once is a burst: 2 lists in one moment show how much full batches score in a second" in shown
    assert "All at once" not in said("one by one", trip(0))


def test_the_rate_to_publish_at_is_half_of_what_came_back_one_by_one_and_can_be_read() -> None:
    assert easy_rate(Round([trip(number, took_s=1.0) for number in range(4)])) == "0.5"
    assert easy_rate(Round([trip(0, took_s=0.01)])) == "5"
    assert easy_rate(Round([trip(0, took_s=41.0)])) == "0.012"

"""Latency budgets through a real broker: what cannot be in time is degraded, and says so."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.light_worker import BATCH_VARIABLE, PAIR_VARIABLE
from tests.integration.line import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.line import Line

pytestmark = pytest.mark.broker

# Some 40,000 tokens: many seconds of work for two cores.
LARGE = {"candidates": 200, "words": 100}


def _results(line: Line, count: int) -> dict[str, dict[str, Any]]:
    return {
        result["request_id"]: result for result in (json.loads(found.value) for found in line.read(line.results, count))
    }


def _scored(result: dict[str, Any]) -> list[int]:
    """Return the previous ranks of the candidates that have a score, which must come before the others."""
    scored = [each["previous_rank"] for each in result["ranking"] if each["score"] is not None]
    rest = [each["previous_rank"] for each in result["ranking"] if each["score"] is None]
    assert [each["previous_rank"] for each in result["ranking"]] == scored + rest
    assert rest == sorted(rest)
    assert [each["score"] for each in result["ranking"][: len(scored)]] == sorted(
        (each["score"] for each in result["ranking"][: len(scored)]), reverse=True
    )
    return sorted(scored)


def test_partial_scores_the_first_candidates_and_leaves_the_others_in_their_order_behind_them(line: Line) -> None:
    worker = line.start(on_overload="partial", dtype="float32", cpu_threads=1)
    line.publish([event(1, **LARGE, budget_ms=2000), event(2, budget_ms=600_000), event(3, budget_ms=0.001)])
    results = _results(line, 3)
    partial = results["r1"]
    assert (partial["outcome"], partial["reason"]) == ("partial", "no_time")
    scored = _scored(partial)
    assert scored == list(range(1, len(scored) + 1))
    assert 0 < len(scored) < 200
    assert (results["r2"]["outcome"], len(_scored(results["r2"]))) == ("reranked", 5)
    assert (results["r3"]["outcome"], results["r3"]["reason"], _scored(results["r3"])) == ("passthrough", "no_time", [])
    assert not results["r3"]["deadline_met"]
    worker.until("all are counted", lambda: worker.metric("rerank_deadlines_total") == 3)
    for outcome in ("reranked", "partial", "passthrough"):
        assert worker.metric("rerank_events_total", outcome=outcome) == 1
    assert worker.metric("rerank_dispatch_total") == worker.metric("rerank_batch_pairs_count")


def test_passthrough_gives_the_list_as_it_came(line: Line) -> None:
    line.start(on_overload="passthrough", dtype="float32", cpu_threads=1)
    line.publish([event(1, **LARGE, budget_ms=1000), event(2, budget_ms=600_000)])
    results = _results(line, 2)
    assert (results["r1"]["outcome"], _scored(results["r1"])) == ("passthrough", [])
    assert [each["previous_rank"] for each in results["r1"]["ranking"]] == list(range(1, 201))
    assert results["r1"]["deadline_met"]
    assert results["r2"]["outcome"] == "reranked"


def test_score_scores_everything_and_admits_that_it_is_late(line: Line) -> None:
    line.start(on_overload="score")
    line.publish([event(1, candidates=20, words=40, budget_ms=1), event(2, budget_ms=600_000)])
    results = _results(line, 2)
    assert (results["r1"]["outcome"], results["r1"]["reason"], len(_scored(results["r1"]))) == (
        "reranked",
        "complete",
        20,
    )
    assert not results["r1"]["deadline_met"]
    assert results["r2"]["deadline_met"]


def test_a_model_that_is_slow_for_a_while_degrades_openly_and_is_used_again_afterwards(
    line: Line, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    worker = line.start(
        module="tests.integration.light_worker",
        on_overload="passthrough",
        environment={"LIGHT_WORKER_SLOW_FILE": str(slow)},
    )
    numbers = itertools.count()

    def sees(outcome: str) -> bool:
        """Send one event and return whether this outcome came of it."""
        before = worker.metric("rerank_events_total", outcome=outcome)
        total = worker.metric("rerank_events_total")
        line.publish([event(next(numbers), budget_ms=150)])
        worker.until("it is done", lambda: worker.metric("rerank_events_total") == total + 1)
        return worker.metric("rerank_events_total", outcome=outcome) == before + 1

    worker.until("lists are reranked", lambda: sees("reranked"))
    slow.touch()
    worker.until("lists pass through", lambda: sees("passthrough"))
    slow.unlink()
    worker.until("lists are reranked again", lambda: sees("reranked"))
    count = next(numbers)
    results = line.read(line.results, count)
    assert len(results) == count
    late = 0
    for record in results:
        result = json.loads(record.value)
        assert len(_scored(result)) == (5 if result["outcome"] == "reranked" else 0)
        if result["timing_ms"]["total"] > 150:
            late += 1
            assert not result["deadline_met"]
    assert late, "the first event that met the slow model was late, and said so"


@pytest.mark.apache
def test_where_the_broker_stamps_the_requests_a_producers_clock_does_not_count(
    line: Line, topics: Callable[..., str]
) -> None:
    line.requests = topics("requests", partitions=3, settings={"message.timestamp.type": "LogAppendTime"})
    line.start(on_overload="partial")
    line.publish([event(1, budget_ms=60_000)], timestamp_ms=1_000)
    result = _results(line, 1)["r1"]
    assert (result["outcome"], result["deadline_met"]) == ("reranked", True)
    assert result["timing_ms"]["total"] < 60_000


def test_an_event_from_long_ago_or_from_the_future_is_no_trouble(line: Line) -> None:
    line.start(on_overload="partial")
    line.publish([event(1)], timestamp_ms=1_000)
    ahead_ms = int(time.time() * 1000) + 1_800_000  # the broker itself refuses more than an hour
    line.publish([event(2, budget_ms=60_000)], timestamp_ms=ahead_ms)
    results = _results(line, 2)
    assert (results["r1"]["outcome"], results["r1"]["deadline_met"]) == ("passthrough", False)
    assert (results["r2"]["outcome"], results["r2"]["deadline_met"]) == ("reranked", True)
    assert results["r2"]["timing_ms"]["total"] < 60_000


def test_at_twice_the_capacity_batches_stay_full_and_nearly_all_scores_are_of_lists_in_budget(line: Line) -> None:
    batch_s, pair_s, full = 0.005, 0.001, 100
    capacity = full / (batch_s + full * pair_s)  # candidates a second of a model that sleeps, so not of this machine
    worker = line.start(
        module="tests.integration.light_worker",
        on_overload="partial",
        batch_tokens=full,  # a pair is one token there
        environment={BATCH_VARIABLE: str(batch_s), PAIR_VARIABLE: str(pair_s)},
    )
    candidates, count = 20, 400
    began_s = time.monotonic()
    for number in range(count):
        line.publish([event(number, candidates=candidates, budget_ms=500)])
        time.sleep(max(0.0, began_s + number / (2 * capacity / candidates) - time.monotonic()))
    results = _results(line, count).values()
    useful = sum(len(_scored(result)) for result in results if result["deadline_met"])
    pairs, batches = worker.metric("rerank_pairs_total"), worker.metric("rerank_batch_pairs_count")
    device_s = batches * batch_s + pairs * pair_s
    assert useful / (capacity * device_s) >= 0.85
    assert sum(result["deadline_met"] for result in results) >= 0.9 * count
    assert sum(result["outcome"] == "partial" for result in results) >= 0.5 * count

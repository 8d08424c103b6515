"""Requests in, results out: order, headers, scores."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import SHIPPED_MODEL, event
from worker.events.schema import Contract, load_schema

if TYPE_CHECKING:
    from tests.integration.line import Line, Worker

pytestmark = pytest.mark.broker


def _reference_logits(model: Path, requests: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Score each pair of each request by itself with transformers, nothing of the worker between."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(1)  # beside other processes more of them would spin, waiting for each other
    tokenizer = AutoTokenizer.from_pretrained(model)
    cross_encoder = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()

    def score(query: str, text: str) -> float:
        inputs = tokenizer(query, text, truncation=True, return_tensors="pt")
        return float(cross_encoder(**inputs).logits[0, 0])

    with torch.inference_mode():
        return [
            {candidate["id"]: score(request["query"], candidate["text"]) for candidate in request["candidates"]}
            for request in requests
        ]


def test_each_list_comes_back_in_the_models_order_with_its_key_and_headers(line: Line) -> None:
    line.start(dtype="float32")
    requests = [event(number, metadata={"page": number}) for number in range(20)]
    headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("x", b"1"), ("x", b"2")]
    sent = line.publish(requests, headers=headers)
    results = line.read(line.results, len(requests))
    contract = Contract(load_schema("rerank-result.v1.json"))
    by_id = {json.loads(result.value)["request_id"]: result for result in results}
    assert len(results) == len(by_id) == len(requests)
    references = _reference_logits(SHIPPED_MODEL, requests)
    for number, (request, (partition, offset), logits) in enumerate(zip(requests, sent, references, strict=True)):
        record = by_id[request["request_id"]]
        result = json.loads(record.value)
        assert contract.is_valid(result)
        assert record.key == f"k{number % 7}".encode()
        assert record.headers == headers
        assert result["source"] == {"topic": line.requests, "partition": partition, "offset": offset}
        assert result["metadata"] == {"page": number}
        assert (result["outcome"], result["query"]) == ("reranked", request["query"])
        assert [each["id"] for each in result["ranking"]] == sorted(logits, key=logits.__getitem__, reverse=True)
        for each in result["ranking"]:
            assert each["logit"] == pytest.approx(logits[each["id"]], abs=1e-4)


def test_results_of_a_key_keep_the_order_of_their_requests(line: Line) -> None:
    line.start(tokenizer_threads=4, batch_tokens=512)
    # Later events with less time go first through the scheduler, and small ones overtake large ones.
    requests = [event(number, candidates=1 + number % 40, budget_ms=60_000 - 500 * number) for number in range(100)]
    line.publish(requests)
    results = line.read(line.results, len(requests))
    for key in {result.key for result in results}:
        numbers = [int(json.loads(result.value)["request_id"][1:]) for result in results if result.key == key]
        assert numbers == sorted(numbers)
        assert len(numbers) > 10


def test_only_the_best_are_returned_where_a_request_asks_for_few(line: Line) -> None:
    line.start()
    line.publish([event(1, candidates=10, top_k=3)])
    (result,) = line.read(line.results, 1)
    ranking = json.loads(result.value)["ranking"]
    assert [each["rank"] for each in ranking] == [1, 2, 3]


def test_a_result_says_whether_its_budget_was_met(line: Line) -> None:
    worker = line.start()
    line.publish([event(1, budget_ms=60_000), event(2, budget_ms=0.001)])
    results = [json.loads(record.value) for record in line.read(line.results, 2)]
    assert {result["request_id"]: result["deadline_met"] for result in results} == {"r1": True, "r2": False}
    worker.until("both are counted", lambda: worker.metric("rerank_deadlines_total") == 2)
    assert worker.metric("rerank_deadlines_total", met="true") == 1
    assert worker.metric("rerank_pairs_total") == 10


def test_the_probes_follow_the_life_of_the_worker(line: Line) -> None:
    worker = line.start(wait=False)
    worker.until("it listens", lambda: worker.get("/livez")[0] == 200)
    worker.until_ready()
    assert worker.get("/livez") == (200, "ok\n")
    worker.until("it has its partitions", lambda: worker.metric("rerank_partitions_assigned") == 3)
    assert worker.metric("rerank_build_info", device="cpu") == 1


def _threads_that_stay(worker: Worker) -> int:
    """Count the threads once none comes or goes: one that has answered a request may still be ending."""
    looks: deque[int] = deque(maxlen=20)

    def settled() -> bool:
        looks.append(len(list(Path(f"/proc/{worker.pid}/task").iterdir())))
        return looks.count(looks[-1]) == looks.maxlen

    worker.until("no thread comes or goes", settled)
    return looks[-1]


def test_only_the_scorer_keeps_threads_to_compute_with(line: Line) -> None:
    """Of the thread that loads the model none stay: more than there are cores would slow each other down."""
    threads = []
    for cpu_threads in (1, 4):
        worker = line.start(dtype="float32", cpu_threads=cpu_threads)
        line.publish(event(number) for number in range(5))
        worker.until("the scorer has computed", lambda: worker.metric("rerank_events_total") >= 5)  # noqa: B023
        threads.append(_threads_that_stay(worker))
        assert worker.stop() == 0
    # The scorer's, as many of a pool that torch makes for itself and that always sleeps here, and those of passes side
    # by side, which sleep while the scorer's compute.
    assert threads[1] - threads[0] == 2 * (4 - 1) + 4


def test_a_plain_run_gives_the_shipped_model_the_titles_that_it_was_trained_on(line: Line) -> None:
    line.start(dtype="float32")
    fields = {"title": "20-volt cordless drill/driver kit", "brand": "Torvald", "color": "green"}
    request = {
        "request_id": "r1",
        "query": "cordless drill",
        "budget_ms": 600_000,
        "candidates": [{"id": "fields", "fields": fields}, {"id": "text", "text": fields["title"]}],
    }
    line.publish([request])
    [result] = line.read(line.results, 1)
    first, second = json.loads(result.value)["ranking"]
    assert first["logit"] == pytest.approx(second["logit"], abs=1e-5)
    assert first["logit"] == pytest.approx(2.57, abs=0.005)  # what the README shows

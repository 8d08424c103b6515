"""Real queries and real products through `run`, against an offline run of transformers.

60 events by default; 5,000 with HOME_DEPOT_EVENTS=5000. `pytest -s` shows the figures.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.integration.line import sources
from tests.support.home_depot import CANDIDATES, DATA, SHARED, requests

if TYPE_CHECKING:
    from tests.integration.line import Line

MODEL = SHARED / "models" / "product-minilm-l6"
EVENTS = int(os.environ.get("HOME_DEPOT_EVENTS", "60"))
ONE_BY_ONE = 20  # events whose pairs are also scored without a batch

pytestmark = [
    pytest.mark.broker,
    pytest.mark.timeout(300 + EVENTS),
    pytest.mark.skipif(not (DATA.exists() and MODEL.exists()), reason="needs ../shared/data and ../shared/models"),
]


class Offline:
    """transformers alone, in float32."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.set_num_threads(1)  # beside other processes more of them would spin, waiting for each other
        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(MODEL)
        self._model = AutoModelForSequenceClassification.from_pretrained(MODEL, dtype=torch.float32).eval()

    def scores(self, request: dict[str, Any], *, one_by_one: bool) -> np.ndarray:
        """Return sigmoid(logit) of each candidate, float64, in the request's order."""
        texts = [candidate["fields"]["title"].strip() for candidate in request["candidates"]]
        groups = [[text] for text in texts] if one_by_one else [texts]
        logits = []
        with self._torch.inference_mode():
            for group in groups:
                queries = [request["query"]] * len(group)
                inputs = self._tokenizer(queries, group, truncation=True, padding=True, return_tensors="pt")
                logits.extend(self._model(**inputs).logits[:, 0].tolist())
        return 1 / (1 + np.exp(-np.array(logits, np.float64)))


def test_every_list_of_real_queries_comes_back_with_the_scores_of_an_offline_run(line: Line) -> None:
    wanted = requests(EVENTS)
    assert len(wanted) == EVENTS
    worker = line.start(model=MODEL, dtype="float32")
    began_s = time.monotonic()
    sent = line.publish(wanted)
    worker.until("all are done", lambda: worker.metric("rerank_events_total") == EVENTS, timeout_s=120 + EVENTS)
    took_s = time.monotonic() - began_s
    found = line.read(line.results, EVENTS)
    assert sources(found) == dict.fromkeys(sent, 1)
    results = {(result := json.loads(record.value))["request_id"]: result for record in found}
    offline = Offline()
    worst = 0.0
    for number, request in enumerate(wanted):
        ranking = results[request["request_id"]]["ranking"]
        ids = [candidate["id"] for candidate in request["candidates"]]
        assert sorted(each["id"] for each in ranking) == sorted(ids)
        scores = np.full(len(ids), np.nan)
        for each in ranking:
            scores[each["previous_rank"] - 1] = each["score"]
        assert [each["score"] for each in ranking] == sorted(scores, reverse=True)
        expected = offline.scores(request, one_by_one=number < ONE_BY_ONE)
        worst = max(worst, float(np.abs(scores - expected).max()))
    pairs = EVENTS * CANDIDATES
    print(  # noqa: T201 - the figures of this run
        f"\n{EVENTS} events, {pairs} pairs in {took_s:.1f} s: {pairs / took_s:.0f} pairs/s; "
        f"dead letters {line.count(line.dead_letters)}; largest difference of a score {worst:.2e}; "
        f"resident {worker.metric('process_resident_memory_bytes') / 1e6:.0f} MB"
    )
    assert worst < 1e-5
    assert line.count(line.dead_letters) == 0

"""Encodes a ranking to the bytes of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from worker.events.ranking import Ranking
    from worker.flow.job import Job, ModelName


def encode_result(
    job: Job, ranking: Ranking, *, model: ModelName, timing_ms: dict[str, float], deadline_met: bool
) -> bytes:
    """Write the result of a decoded job: its request's top_k best candidates, by the result schema.

    A candidate that was not scored is NaN in the ranking and null here. A time below 0 (the clocks of broker and worker
    differ) is written as 0.
    """
    request, record = job.request, job.record
    assert request is not None, "only a decoded job has a ranking"
    order, ids = ranking.order[: request.top_k], request.candidate_ids
    rows = zip(order.tolist(), ranking.scores[order].tolist(), ranking.logits[order].tolist(), strict=True)
    result = {
        "request_id": request.request_id,
        "query": request.query,
        "outcome": ranking.outcome,
        "reason": ranking.reason,
        "ranking": [  # orjson writes NaN as null
            {"id": ids[at], "rank": rank, "score": score, "logit": logit, "previous_rank": at + 1}
            for rank, (at, score, logit) in enumerate(rows, start=1)
        ],
        "model": {"id": model.id, "revision": model.revision},
        "timing_ms": {part: round(max(0.0, spent), 3) for part, spent in timing_ms.items()},
        "deadline_met": deadline_met,
        "truncated": job.scoring.pairs.truncated if job.scoring.pairs is not None else 0,
        "source": {"topic": record.partition.topic, "partition": record.partition.number, "offset": record.offset},
        "metadata": request.metadata,
    }
    return orjson.dumps(result)

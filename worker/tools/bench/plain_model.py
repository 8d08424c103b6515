"""Reranks a request with sentence-transformers as its users call it: one predict for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def load(config: dict[str, Any]) -> Callable[[Any], dict[str, Any]]:
    """Return what turns a request into a result; the model is as it is by default, in float32."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(
        config["model"],
        revision=config["revision"],
        device=config["device"],
        max_length=config["max_length"],
        model_kwargs={"dtype": "float32"},  # else that of the file, which may be float16, slow on a CPU
    )

    def rerank(request: Any) -> dict[str, Any]:
        candidates = request["candidates"]
        scores = model.predict([(request["query"], each["text"]) for each in candidates], show_progress_bar=False)
        ranked = sorted(zip(candidates, scores.tolist(), strict=True), key=lambda one: one[1], reverse=True)
        ranking = [{"id": each["id"], "score": score} for each, score in ranked]
        return {"request_id": request["request_id"], "query": request["query"], "ranking": ranking}

    return rerank

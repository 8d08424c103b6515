"""Texts that the light model cannot score: their pairs get ids of their own, and the forward pass fails on those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.integration.light_worker import Encoder, Forward

if TYPE_CHECKING:
    from worker.flow.job import Pairs
    from worker.model.rows import RaggedBatch

# What a text contains, and the id of its pair. The first is scored once it is alone, the others never are.
CROWDED, TOO_LARGE, NOT_A_NUMBER = "needs all the memory", "needs more memory than there is", "gives NaN"
_IDS = {CROWDED: 1, TOO_LARGE: 2, NOT_A_NUMBER: 3}


def spoil() -> None:
    """Have the light model fail on these texts."""
    encode, forward = Encoder.encode, Forward.forward

    def marked_encode(encoder: Encoder, query: str, texts: list[str]) -> Pairs:
        pairs = encode(encoder, query, texts)
        for at, text in enumerate(texts):
            pairs.ids[at] = next((number for sign, number in _IDS.items() if sign in text), pairs.ids[at] | 4)
        return pairs

    def failing_forward(model: Forward, rows: RaggedBatch, chosen: np.ndarray) -> np.ndarray:
        ids = rows.ids[rows.starts[chosen]]
        if np.any(ids == _IDS[TOO_LARGE]) or (len(ids) > 1 and np.any(ids == _IDS[CROWDED])):
            raise RuntimeError("out of memory: injected")
        return np.where(ids == _IDS[NOT_A_NUMBER], np.float32(np.nan), forward(model, rows, chosen))

    Encoder.encode = marked_encode  # type: ignore[assignment, method-assign]
    Forward.forward = failing_forward  # type: ignore[assignment, method-assign]

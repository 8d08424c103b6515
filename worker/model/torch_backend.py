"""Chooses between torch's two ways to run a model: without padding where that is proven, else padded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.model.flat_encoder import FlatEncoder, is_flat
from worker.model.rows import AS_LONG_AS_ROWS, Rows, widths_for
from worker.model.torch_flat import TorchFlat
from worker.model.torch_padded import TorchPadded

if TYPE_CHECKING:
    from worker.model.backend import Backend
    from worker.model.tokenizer import PairTokenizer

log = logging.getLogger(__name__)

# What the two ways may differ by in a logit.
_TOLERANCES = {"float32": 1e-4, "bfloat16": 1e-1}
_PROOF_LENGTHS = (9, 24, 9, 16, 5)


def make_backend(model: Any, tokenizer: PairTokenizer, group_tokens: int | None, positions: int) -> Backend:
    """Return the faster backend of those that give the model's own logits; a pair has at most `positions` tokens."""
    dtype, on_cpu = str(model.dtype).removeprefix("torch."), model.device.type == "cpu"
    padded = TorchPadded(
        model,
        pad_id=tokenizer.pad_id,
        token_types=tokenizer.token_types,
        group_tokens=group_tokens,
        widths=widths_for(dtype, positions) if on_cpu else AS_LONG_AS_ROWS,
    )
    tolerance = _TOLERANCES.get(dtype)
    if not on_cpu or tolerance is None or not is_flat(model):
        return padded
    flat = TorchFlat(FlatEncoder(model), token_types=tokenizer.token_types, pass_tokens=group_tokens)
    rows = _proof(int(model.config.vocab_size))
    expected, found = (backend.start(rows).finish().logits for backend in (padded, flat))
    if not np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
        log.warning(
            "this model gives other logits without padding, so its batches are padded: it is slower",
            extra={"event": "padded"},
        )
        return padded
    model.base_model.encoder = None  # its weights are in the flat encoder now, in another layout
    return flat


def _proof(vocabulary: int) -> Rows:
    """Return rows of any tokens, of different lengths."""
    lengths = np.array(_PROOF_LENGTHS)
    ids = np.random.default_rng(0).integers(vocabulary, size=int(lengths.sum()), dtype=np.int32)
    return Rows(ids, np.cumsum(lengths) - lengths, lengths, lengths // 3, np.array([0, len(lengths)]))

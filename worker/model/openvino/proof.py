"""What a converted model must show before it scores anything: the logits that torch gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worker.model.rows import RaggedBatch
from worker.model.tokenization.pair_encoder import PairEncoder
from worker.model.tokenization.template import PROBES
from worker.model.tokenization.token_cache import TokenCache

if TYPE_CHECKING:
    from worker.model.backend import Backend
    from worker.model.tokenization.tokenizer import PairTokenizer

_SCORE = 1e-5  # the contract: of the sigmoid, in float32
_LOGIT = {"float32": 1e-4, "bfloat16": 2e-2}  # of the logit, and of its size: a sigmoid near 0 or 1 would hide much
# Beyond the windows and buckets of the families that have such; a model for documents has thousands of positions.
_LONGEST = 512
_QUERY = PROBES[0]


class UnfitError(Exception):
    """OpenVINO cannot run this model as torch does; the message says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of mixed lengths, and the logits that torch gave each of them alone, in float32."""

    rows: RaggedBatch
    logits: np.ndarray

    def check(self, backend: Backend, dtype: str) -> None:
        """Raise UnfitError unless the backend, which pads the rows, gives these logits, as far as the dtype can."""
        scored = backend.start(self.rows).finish()
        if scored.failures:
            raise UnfitError(f"it fails on plain text: {next(iter(scored.failures.values()))!r}")
        apart = np.abs(scored.logits - self.logits)
        allowed = _LOGIT[dtype] * (1 + np.abs(self.logits))
        if (apart > allowed).any():
            worst = int(np.argmax(apart / allowed))
            raise UnfitError(
                f"in {dtype} it gives the logit {scored.logits[worst]:.6g} where torch gives {self.logits[worst]:.6g}, "
                f"expected within {allowed[worst]:.1g}"
            )
        scores = np.abs(_sigmoid(scored.logits) - _sigmoid(self.logits)).max()
        if dtype == "float32" and scores > _SCORE:
            raise UnfitError(f"its scores differ from torch's by {scores:.1g}, expected {_SCORE:g} at most")


def proof_rows(tokenizer: PairTokenizer, positions: int) -> RaggedBatch:
    """Return pairs of one token to the model's maximum, of texts that shops write."""
    longest = min(tokenizer.maximum, positions, _LONGEST)
    long = " ".join(PROBES) * (1 + longest // len(PROBES))
    pairs = PairEncoder(tokenizer, TokenCache(0), longest, "longest_first").encode(_QUERY, [*PROBES, long])
    return RaggedBatch(pairs.ids, pairs.offsets[:-1], np.diff(pairs.offsets), pairs.splits, np.array([0, len(pairs)]))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))))

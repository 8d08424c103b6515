"""From logits to a ranked list: activation in float64, best first, ties in the order they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = Literal["reranked", "partial", "passthrough"]
Array = np.ndarray


def _sigmoid(logits: Array) -> Array:
    # The usual two-sided form: exp never sees a positive argument, so nothing overflows.
    small = np.exp(-np.abs(logits))
    scores: Array = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return scores


# The score functions a model's configuration may name. A name is looked up here and nowhere else.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "identity": lambda logits: logits,
    "tanh": np.tanh,
    "relu": lambda logits: np.maximum(logits, 0.0),
}


@dataclass(frozen=True, slots=True)
class Ranking:
    """A list in its new order.

    `order` (n,): input positions, best first. `logits` float32 and `scores` float64 (n,): by input position, NaN where
    a candidate was not scored; those come last, in the order they came.
    """

    order: Array
    logits: Array
    scores: Array
    outcome: Outcome
    reason: str


def displacement(ranking: Ranking) -> float:
    """Return how far the list was moved, from 0 (as it came) to 1 (reversed): Spearman's footrule, normalised."""
    n = len(ranking.order)
    return float(np.abs(ranking.order - np.arange(n)).sum()) / (n * n // 2) if n > 1 else 0.0


def rank(logits: Array, activation: str, shed: str | None = None) -> Ranking:
    """Rank n candidates by their float32 logits (n,); a logit of NaN means that the candidate was not scored.

    `shed` is why, where not every candidate was to be scored.

    The order is the logits' own: an activation is monotonic, and two scores may tie where their logits do not.
    """
    scored = int(np.count_nonzero(~np.isnan(logits)))
    scores = ACTIVATIONS[activation](logits.astype(np.float64))
    # A stable sort keeps ties in their input order; NaN sorts last.
    order = np.argsort(-logits, kind="stable")
    if scored == len(logits):
        return Ranking(order, logits, scores, "reranked", "complete")
    if scored:
        return Ranking(order, logits, scores, "partial", shed or "unscored")
    return Ranking(order, logits, scores, "passthrough", shed or "unscored")

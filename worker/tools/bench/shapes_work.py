"""Pairs of stated lengths in tokens, as ids that are ready and as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.flow.job import Job, Slice
from worker.model.random_model import SPECIAL_TOKENS, WORDS
from worker.tools.bench.bare_job import bare_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.model.tokenization.pair_encoder import PairEncoder

BATCH_TOKENS = {"cpu": 1_024, "cuda": 32_768}
_QUERY = 4  # words of a query
_MIXED_MEAN, _MIXED_SPREAD, _MIXED_ENDS = 128, 0.6, (16, 384)


class Work(NamedTuple):
    """One batch: an event that holds all pairs, their texts, and their lengths in tokens, (n,)."""

    job: Job
    texts: list[tuple[str, str]]
    lengths: np.ndarray

    def batch(self) -> list[Slice]:
        """Return what is launched."""
        return [Slice(self.job, 0, len(self.lengths))]


def make_work(encoder: PairEncoder, draw: Callable[[int], np.ndarray], tokens: int) -> Work:
    """Return a batch of about so many tokens whose lengths `draw` gives, at least one pair."""
    lengths = draw(tokens)
    generator = np.random.default_rng(0)
    query = " ".join(generator.choice(WORDS, _QUERY))
    products = [" ".join(generator.choice(WORDS, length - _QUERY - SPECIAL_TOKENS)) for length in lengths.tolist()]
    job = bare_job()
    job.scoring.pairs = encoder.encode(query, products)
    return Work(job, [(query, product) for product in products], np.diff(job.scoring.pairs.offsets))


def _uniform(length: int) -> Callable[[int], np.ndarray]:
    return lambda tokens: np.full(max(1, tokens // length), length)


def _mixed(tokens: int) -> np.ndarray:
    """Return log-normal lengths, as those of product texts are, of the same mean as the middle uniform ones."""
    generator = np.random.default_rng(0)
    mu = np.log(_MIXED_MEAN) - _MIXED_SPREAD**2 / 2
    drawn = generator.lognormal(mu, _MIXED_SPREAD, max(1, tokens // _MIXED_MEAN))
    return np.clip(drawn, *_MIXED_ENDS).astype(np.int64)


# By their names in the figures.
LENGTHS: Mapping[str, Callable[[int], np.ndarray]] = {
    **{f"tokens_{length}": _uniform(length) for length in (64, 128, 256)},
    "mixed": _mixed,
}

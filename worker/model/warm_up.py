"""The batches that a model scores before it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.model.rows import RaggedBatch

if TYPE_CHECKING:
    from worker.flow.job import Pairs
    from worker.model.tokenization.pair_encoder import PairEncoder
    from worker.scheduling.cost_model import Load

# The shapes of a warm-up: short titles up to long pairs, alone and in groups of at most as many tokens as one forward
# pass has. A model for documents has thousands of positions, which would keep readiness waiting for minutes.
_WARM_LENGTHS = (16, 48, 128, 512)
_WARM_PAIRS, _WARM_TOKENS = (1, 8, 32), 2_048
_CUDA_WARM_PAIRS, _CUDA_WARM_TOKENS = (1, 32, 256), 32_768
# The second has more pairs than a CUDA graph of its tokens, which does without what a thread needs for itself.
_THREAD_BATCH, _CUDA_THREAD_BATCHES = (48, 32), ((48, 32), (8, 600))
_WARM_TEXT = "Wireless mouse 2.4 GHz, 1600 DPI, silent buttons, USB receiver, black, for laptop and PC. "


class BatchTime(NamedTuple):
    """How long a batch took: its pairs, what was computed, seconds."""

    pairs: int
    load: Load
    seconds: float


def warm_rows(encoder: PairEncoder, max_length: int, *, cuda: bool) -> list[RaggedBatch]:
    """Return batches of real shapes, from one short pair to many long ones."""
    counts, most = (_CUDA_WARM_PAIRS, _CUDA_WARM_TOKENS) if cuda else (_WARM_PAIRS, _WARM_TOKENS)
    return [
        _repeated(encoder, length, count)
        for length in sorted({min(length, max_length) for length in _WARM_LENGTHS})
        for count in counts
        if count == 1 or count * length <= most
    ]


def thread_rows(encoder: PairEncoder, max_length: int, *, cuda: bool) -> list[RaggedBatch]:
    """Return what makes a thread ready that another has loaded the model for."""
    batches = _CUDA_THREAD_BATCHES if cuda else (_THREAD_BATCH,)
    return [_repeated(encoder, min(length, max_length), count) for length, count in batches]


def _repeated(encoder: PairEncoder, length: int, count: int) -> RaggedBatch:
    """Return `count` equal pairs of about `length` tokens, at most the model's maximum."""
    text = _WARM_TEXT
    pairs = encoder.encode("wireless mouse", [text])
    while len(pairs.ids) < length and not pairs.truncated:
        text += _WARM_TEXT
        pairs = encoder.encode("wireless mouse", [text])
    return _cut(pairs, length, count)


def _cut(pairs: Pairs, length: int, count: int) -> RaggedBatch:
    ids = pairs.ids[:length]
    lengths = np.full(count, len(ids), np.int64)
    return RaggedBatch(
        ids=np.tile(ids, count),
        starts=np.arange(count) * len(ids),
        lengths=lengths,
        splits=np.full(count, pairs.splits[0], np.int32),
        bounds=np.array([0, count]),
    )

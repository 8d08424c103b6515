"""Finds the pairs of an event that are equal: each is scored once, so that equal products get equal logits.

Two places in a batch, or two batches, may give one pair logits that differ in the last bit, by the kernels that the
shapes choose; equal candidates would then not keep the order they came in.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from worker.flow.job import Pairs


def bytes_of(pairs: Pairs) -> list[bytes]:
    """Return the ids of each of n pairs as bytes."""
    flat = pairs.ids.tobytes()
    ends = (pairs.offsets * pairs.ids.itemsize).tolist()
    return [flat[start:stop] for start, stop in itertools.pairwise(ends)]


def without_repeats(pairs: Pairs) -> Pairs:
    """Return the pairs with each different one once, in their order; `pairs` itself where all are different."""
    contents = bytes_of(pairs)
    if len(set(contents)) == len(contents):
        return pairs
    seen: dict[tuple[bytes, int], int] = {}
    keys = zip(contents, pairs.splits.tolist(), strict=True)
    places = np.array([seen.setdefault(key, len(seen)) for key in keys])
    _, first = np.unique(places, return_index=True)
    return pairs.take(first, places)

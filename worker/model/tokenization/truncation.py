"""How many tokens of the query and of the product stay when a pair is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from worker.model.options import Truncation

Lengths = tuple[np.ndarray, np.ndarray]


def keep(query: int, products: np.ndarray, room: int, truncation: Truncation) -> Lengths:
    """Return how many tokens of the query and of each product (n,) stay, both int64 (n,).

    `room` is the maximum length without the special tokens. A pair that fits stays whole.
    """
    queries = np.full_like(products, query)
    rule = _longest_first if truncation == "longest_first" else _only_second
    short_queries, short_products = rule(queries, products, room)
    fits = queries + products <= room
    return np.where(fits, queries, short_queries), np.where(fits, products, short_products)


def _longest_first(queries: np.ndarray, products: np.ndarray, room: int) -> Lengths:
    """Cut as the tokenizers library does (truncate_encodings in tokenizers/src/utils/truncation.rs)."""
    small = np.minimum(queries, products)
    large = np.where(small > room, small, np.maximum(small, room - small))
    halves = small + large > room
    small = np.where(halves, room // 2, small)
    large = np.where(halves, room // 2 + room % 2, large)
    swapped = queries > products
    return np.where(swapped, large, small), np.where(swapped, small, large)


def _only_second(queries: np.ndarray, products: np.ndarray, room: int) -> Lengths:
    """Cut the product; a query that leaves it no token is first cut to half of the room, where the library raises."""
    kept = np.where(queries >= room, room // 2, queries)
    return kept, np.minimum(products, room - kept)

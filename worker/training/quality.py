"""How well scores agree with judgements: Pearson, Spearman, and NDCG@10 over queries that tell rankings apart."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.training.data import JudgedPairs

MIN_PRODUCTS = 5
IRRELEVANT = 1.0  # the lowest label; what is above it is the gain


class Quality(NamedTuple):
    """The three figures of a scorer, and the number of queries behind the NDCG."""

    pearson: float
    spearman: float
    ndcg: float
    queries: int


def dcg(gains: np.ndarray, k: int) -> float:
    """Return the discounted cumulative gain of gains (n,) in ranked order: gain / log2(rank + 1), rank from 1 to k."""
    top = gains[:k]
    return float(np.sum(top / np.log2(np.arange(2, len(top) + 2))))


def ndcg(gains: np.ndarray, scores: np.ndarray, k: int = 10) -> float:
    """Return NDCG@k of one list of n candidates (Järvelin and Kekäläinen, 2002).

    Ties in the scores (n,) keep the input order. A list without any gain counts as 0.
    """
    ideal = dcg(np.sort(gains)[::-1], k)
    return dcg(gains[np.argsort(-scores, kind="stable")], k) / ideal if ideal > 0 else 0.0


def rankable(pairs: JudgedPairs) -> Iterator[np.ndarray]:
    """Yield the row numbers of each query that has at least five products and not one label for all of them."""
    rows = defaultdict(list)
    for row, query in enumerate(pairs.queries):
        rows[query].append(row)
    for numbers in rows.values():
        if len(numbers) >= MIN_PRODUCTS and np.ptp(pairs.relevance[numbers]) > 0:
            yield np.array(numbers)


def measure(pairs: JudgedPairs, scores: np.ndarray) -> Quality:
    """Return the quality of the scores (n,) of n judged pairs; the gain of a product is its relevance less 1."""
    from scipy.stats import pearsonr, spearmanr

    lists = [ndcg(pairs.relevance[rows] - IRRELEVANT, scores[rows]) for rows in rankable(pairs)]
    return Quality(
        pearson=float(pearsonr(scores, pairs.relevance).statistic),
        spearman=float(spearmanr(scores, pairs.relevance).statistic),
        ndcg=float(np.mean(lists)) if lists else float("nan"),
        queries=len(lists),
    )

"""The Home Depot product search relevance pairs, and the held-out queries that published figures are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("search_term", "product_title", "relevance")
SEED = 7
SHARE = 10  # one query in ten is held out


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """n judged pairs: lower-cased query and title, relevance float64 (n,) from 1 (irrelevant) to 3 (exact)."""

    queries: list[str]
    titles: list[str]
    relevance: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.queries)

    def select(self, rows: np.ndarray) -> JudgedPairs:
        """Return the pairs of a boolean mask (n,), in their order."""
        kept = np.flatnonzero(rows).tolist()
        return JudgedPairs([self.queries[i] for i in kept], [self.titles[i] for i in kept], self.relevance[rows])


def held_out_queries(queries: list[str]) -> set[str]:
    """Return a tenth of the distinct queries: sorted, then shuffled with a fixed seed, then the first tenth.

    Distinct means distinct as typed: `Drill` and `drill` are two queries, as they were when the model was trained.
    """
    distinct = sorted(set(queries))
    np.random.default_rng(SEED).shuffle(distinct)
    return set(distinct[: len(distinct) // SHARE])


def read_pairs(path: Path, *, held_out: bool) -> JudgedPairs:
    """Read the pairs of the held-out queries, or those of all other queries, from a parquet file.

    Raises ValueError when one of the columns search_term, product_title and relevance is missing.
    """
    import pyarrow.parquet as pq

    missing = set(COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}; {', '.join(sorted(missing))} is missing")
    raw, titles, relevance = (pq.read_table(path, columns=[name])[name].to_pylist() for name in COLUMNS)
    away = held_out_queries(raw)
    everything = JudgedPairs([q.lower() for q in raw], [t.lower() for t in titles], np.array(relevance, dtype=float))
    return everything.select(np.array([(query in away) == held_out for query in raw], dtype=bool))

"""What a round of requests and results amounts to: quality, throughput, latency, budgets and outcomes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from worker.training.quality import ndcg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.tools.round_trips import Round, Trip

_QUANTILES = (0.5, 0.95, 0.99)


def quality(trips: Iterable[Trip]) -> tuple[float, float, int] | None:
    """Return the mean NDCG@10 before and after, and of how many lists; None where no list is judged.

    A list counts where it has a candidate of some relevance.
    """
    judged = [pair for trip in trips if (pair := _ndcg_before_and_after(trip)) is not None]
    if not judged:
        return None
    before, after = np.mean(judged, axis=0)
    return float(before), float(after), len(judged)


def _ndcg_before_and_after(trip: Trip) -> tuple[float, float] | None:
    candidates = trip.event["candidates"]
    relevance = np.array([candidate.get("relevance") or 0.0 for candidate in candidates])
    if not relevance.any():
        return None
    return ndcg_before_and_after(relevance, trip.result["ranking"])


def ndcg_before_and_after(relevance: np.ndarray, ranking: Iterable[Any]) -> tuple[float, float]:
    """Return NDCG@10 of a list as it came, and as its result has it; `relevance` is float64 (candidates,)."""
    after = np.full(len(relevance), -np.inf)  # what the result does not list stands below what it lists
    for row in ranking:
        after[row["previous_rank"] - 1] = -row["rank"]
    return ndcg(relevance, -np.arange(len(relevance), dtype=float)), ndcg(relevance, after)


def percentiles_ms(seconds: Sequence[float]) -> str:
    """Return p50, p95 and p99 in milliseconds; each is a value that occurred (nearest rank)."""
    return " / ".join(f"{value * 1000:,.0f}" for value in np.quantile(seconds, _QUANTILES, method="inverted_cdf"))


def table(rounds: Mapping[str, Round], default_budget_ms: float) -> Table:
    """Return the figures of each round as a column under its name; every round has an answered trip."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2))
    shown.add_column("")
    for name in rounds:
        shown.add_column(name, justify="right")
    columns = [_column(each.answered, each.took_s, default_budget_ms) for each in rounds.values()]
    for label in columns[0]:
        shown.add_row(label, *(column[label] for column in columns))
    return shown


def _column(trips: Sequence[Trip], took_s: float, default_budget_ms: float) -> dict[str, str]:
    results = [trip.result for trip in trips]
    pairs = sum(row["score"] is not None for result in results for row in result["ranking"])
    budgets = [trip.event.get("budget_ms") or default_budget_ms for trip in trips]
    met = [result for result in results if result["deadline_met"]]
    return {
        "results": f"{len(results):,}",
        "pairs scored": f"{pairs:,}",
        "seconds": f"{took_s:.1f}",
        "throughput, pairs/s": f"{pairs / took_s:,.0f}",
        "throughput, events/s": f"{len(results) / took_s:,.1f}",
        "latency p50 / p95 / p99, ms": percentiles_ms([trip.took_s for trip in trips]),
        "  by the worker's own clock, ms": percentiles_ms([result["timing_ms"]["total"] / 1000 for result in results]),
        "    mean: decode and tokenize": _mean_ms(results, "decode", "tokenize"),
        "    mean: wait for a turn": _mean_ms(results, "waiting", "schedule"),
        "    mean: score": _mean_ms(results, "score"),
        "latency budget, ms": _range(budgets),
        "scored whole / partly / not at all": how_scored(results),
        "in budget": f"{len(met):,} of {len(results):,} ({len(met) / len(results):.0%})",
        "  of them whole / partly / not at all": how_scored(met),
    }


def how_scored(results: Sequence[Any]) -> str:
    """Return how many lists were scored as a whole, how many in part, and how many not at all."""
    outcomes = Counter(result["outcome"] for result in results)
    return " / ".join(f"{outcomes[name]:,}" for name in ("reranked", "partial", "passthrough"))


def _mean_ms(results: Sequence[Any], *stages: str) -> str:
    return f"{np.mean([sum(result['timing_ms'].get(stage, 0.0) for stage in stages) for result in results]):,.1f}"


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"

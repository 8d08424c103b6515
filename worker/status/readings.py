"""What a worker's metrics say at one moment, and what happened between two of them: its own registry, or a scrape."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Metric

# How many observations were at most so large, by the bucket's upper edge (the last edge is infinite).
Buckets = Counter[float]

LATENCY = "rerank_event_latency_seconds_bucket"
RECEIVED, SCORED = "rerank_candidates_received_total", "rerank_candidates_scored_total"
STARTED = "process_start_time_seconds"


class Reading:
    """All samples at a time of the monotonic clock, by name."""

    def __init__(self, families: Iterable[Metric], at_s: float) -> None:
        self.at_s = at_s
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in families:
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series; none where there is no such metric."""
        return self._samples.get(name, [])

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series that have these labels; 0 where there is none."""
        return sum(value for found, value in self.series(name) if labels.items() <= found.items())

    def highest(self, name: str) -> float:
        """Return the largest value of the series; 0 where there is none."""
        return max((value for _, value in self.series(name)), default=0.0)

    def labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a metric that has one series, such as an info; none where there is none."""
        return next((labels for labels, _ in self.series(name)), {})

    def buckets(self) -> Buckets:
        """Return how many events took at most so long, by the edges in seconds."""
        return Counter({float(labels["le"]): value for labels, value in self.series(LATENCY)})


class Window:
    """What one worker did between two readings. Raises ValueError where no time lies between them."""

    def __init__(self, first: Reading, last: Reading) -> None:
        self.seconds = last.at_s - first.at_s
        if self.seconds <= 0:
            raise ValueError(f"expected a later reading than that at {first.at_s:g} s, got one at {last.at_s:g} s")
        self._first, self._last = first, last

    @property
    def is_of_one_process(self) -> bool:
        """Whether the worker did not restart in between: its counters would have begun at 0 again."""
        return self._first.total(STARTED) == self._last.total(STARTED)

    def rate(self, name: str, **labels: str) -> float:
        """Return how much a counter grew in a second."""
        return (self._last.total(name, **labels) - self._first.total(name, **labels)) / self.seconds

    def candidates(self) -> tuple[float, float]:
        """Return how many candidates a second came with what was published, and how many of them were scored."""
        return self.rate(RECEIVED), self.rate(SCORED)

    def buckets(self) -> Buckets:
        """Return the latencies of the events that ended in this time."""
        counts = self._last.buckets()
        counts.subtract(self._first.buckets())
        return counts


def quantile(buckets: Buckets, q: float) -> float | None:
    """Return a quantile in seconds as Prometheus' `histogram_quantile` estimates it; None where nothing was counted.

    It is interpolated within its bucket. What is above the last finite edge counts as that edge.
    """
    total = buckets.get(math.inf, 0)
    if total <= 0:
        return None
    rank, below, edge_below = q * total, 0.0, 0.0
    for edge in sorted(buckets):
        if edge == math.inf:
            break
        if buckets[edge] >= rank:
            inside = buckets[edge] - below
            return edge_below + (edge - edge_below) * ((rank - below) / inside if inside else 1.0)
        below, edge_below = buckets[edge], edge
    return edge_below


def share(part: float, rest: float) -> float | None:
    """Return a part's share of itself and the rest; None where there is neither."""
    return part / (part + rest) if part + rest else None

"""A registry of metrics whose series exist before anything was counted, so that a rate is 0 and not missing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Edges at common latency budgets: 10, 25, 50, 100, 200, 300, 500 ms, 1, 2, 5 s.
LATENCY_BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1, 1.5, 2, 3, 5, 7.5, 10),
)

M = TypeVar("M", Counter, Gauge, Histogram)


class Registry(CollectorRegistry):
    """What one worker exports, and what the client says of its process.

    A metric is given its labels with the values that they may have; one with a label whose values are not known yet,
    (), has no series yet.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter and histogram, which Prometheus does not need
        super().__init__(auto_describe=True)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self)

    def counter(self, name: str, meaning: str, **labels: Iterable[str]) -> Counter:
        """Make a counter."""
        return _begun(Counter(f"rerank_{name}", meaning, list(labels), registry=self), labels)

    def gauge(self, name: str, meaning: str, **labels: Iterable[str]) -> Gauge:
        """Make a gauge."""
        return _begun(Gauge(f"rerank_{name}", meaning, list(labels), registry=self), labels)

    def histogram(self, name: str, meaning: str, buckets: tuple[float, ...], **labels: Iterable[str]) -> Histogram:
        """Make a histogram with buckets up to these edges."""
        return _begun(Histogram(f"rerank_{name}", meaning, list(labels), buckets=buckets, registry=self), labels)

    def times(self, name: str, meaning: str, **labels: Iterable[str]) -> Histogram:
        """Make a histogram of seconds."""
        return self.histogram(name, meaning, LATENCY_BUCKETS, **labels)


def _begun(metric: M, labels: Mapping[str, Iterable[str]]) -> M:
    if labels:
        for values in itertools.product(*labels.values()):
            metric.labels(*values)
    return metric

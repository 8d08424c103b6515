"""The metrics in the forms that a scraper may ask for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry, Metric
    from prometheus_client.registry import Collector


class Form(NamedTuple):
    """A form of the metrics: its media type with the version, and how it is written."""

    media_type: str
    version: str
    escaping: str  # as it ends the Content-Type: no name of a metric or label here needs any
    write: Callable[[CollectorRegistry], bytes]

    @property
    def content_type(self) -> str:
        """What the Content-Type header says."""
        return f"{self.media_type}; version={self.version}; charset=utf-8{self.escaping}"


class _Strict:
    """The metrics as OpenMetrics allows them: a histogram with negative edges has no sum, and so no count either.

    Its last bucket is the count. The client leaves out the sum alone, which the reference parser refuses.
    """

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            yield _buckets_alone(family) if _has_negative_edges(family) else family


def _has_negative_edges(family: Metric) -> bool:
    return family.type == "histogram" and any(float(sample.labels.get("le", 0)) < 0 for sample in family.samples)


def _buckets_alone(family: Metric) -> Metric:
    """Return a copy: the metric itself may be somebody else's."""
    reduced = copy.copy(family)
    reduced.samples = [sample for sample in family.samples if sample.name == f"{family.name}_bucket"]
    return reduced


def _as_text(registry: CollectorRegistry) -> bytes:
    return exposition.generate_latest(registry)


def _as_openmetrics(registry: CollectorRegistry) -> bytes:
    written: bytes = openmetrics.generate_latest(_Strict(registry), escaping=openmetrics.UNDERSCORES)  # type: ignore[no-untyped-call]  # so is the client's
    return written


# The first is for whoever does not say what it reads.
FORMS = (
    Form("text/plain", "0.0.4", "", _as_text),
    Form("text/plain", "1.0.0", "; escaping=underscores", _as_text),
    Form("application/openmetrics-text", "1.0.0", "; escaping=underscores", _as_openmetrics),
)

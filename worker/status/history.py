"""The last minutes of a worker, a point every two seconds: a small ring that the HTTP thread fills."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from worker.status.readings import LATENCY, RECEIVED, SCORED, Reading, Window, quantile, share

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

STEP_S = 2.0
WINDOW_S = 10.0  # a point says what happened in so long before it, else the plots of slow streams would be noise
SPAN_S = 300.0

_EVENTS, _PAIRS, _LETTERS = "rerank_events_total", "rerank_pairs_total", "rerank_dead_letters_total"
_DEADLINES, _BUSY, _LAG = "rerank_deadlines_total", "rerank_device_busy_seconds_total", "rerank_consumer_lag_records"


class Point(NamedTuple):
    """What happened in the seconds before a time of the monotonic clock, and how many records were not done then.

    Rates are a second; a latency or a share is None where no event has ended. `scored` is the share of the candidates.
    """

    at_s: float
    events: float
    pairs: float
    dead_letters: float
    p50_s: float | None
    p99_s: float | None
    in_budget: float | None
    scored: float | None
    busy: float
    lag_records: float


class History:
    """Reads the few metrics it needs, in microseconds and on its caller's thread: the scorer's does nothing for it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._source = registry.restricted_registry(
            (_EVENTS, _PAIRS, _LETTERS, _DEADLINES, RECEIVED, SCORED, _BUSY, _LAG, LATENCY)
        )
        self._readings: deque[Reading] = deque(maxlen=round(WINDOW_S / STEP_S))
        self._points: deque[Point] = deque(maxlen=round(SPAN_S / STEP_S) + 1)
        self._due_s = 0.0

    def sample(self, now_s: float) -> None:
        """Add a point if the last one is two seconds old. For one thread."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + STEP_S
        reading = Reading(self._source.collect(), now_s)
        if self._readings:
            self._points.append(_point(Window(self._readings[0], reading), reading))
        self._readings.append(reading)

    def points(self) -> tuple[Point, ...]:
        """Return the points, the oldest first. For any thread."""
        return tuple(self._points)


def _point(window: Window, last: Reading) -> Point:
    latencies = window.buckets()
    received, scored = window.candidates()
    return Point(
        at_s=last.at_s,
        events=window.rate(_EVENTS),
        pairs=window.rate(_PAIRS),
        dead_letters=window.rate(_LETTERS),
        p50_s=quantile(latencies, 0.5),
        p99_s=quantile(latencies, 0.99),
        in_budget=share(window.rate(_DEADLINES, met="true"), window.rate(_DEADLINES, met="false")),
        scored=share(scored, received - scored),
        busy=window.rate(_BUSY),
        lag_records=last.total(_LAG),
    )

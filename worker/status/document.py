"""What the status page shows, as one JSON document made of the metrics and of what the probes know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from worker.status.history import SPAN_S, WINDOW_S, History
from worker.status.readings import RECEIVED, SCORED, STARTED, Reading

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from worker.observe.health import Health

_BUILD = ("version", "model", "revision", "device", "dtype")  # chosen by name: a label more is not shown unseen


class Status:
    """Keeps the last minutes, and says how things stand."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._registry = registry
        self._health = health
        self._history = History(registry)

    def sample(self) -> None:
        """Remember how things stand, at most every two seconds. For one thread."""
        self._history.sample(time.monotonic())

    def as_json(self) -> bytes:
        """Return the document. For any thread."""
        now_s = time.monotonic()
        reading = Reading(self._registry.collect(), now_s)
        build = reading.labels("rerank_build_info")
        state, why = self._health.state()
        document = {
            "state": state,
            "why": why,
            "build": {name: build[name] for name in _BUILD if build.get(name)},
            "uptime_s": _uptime_s(reading),
            "budget_s": reading.total("rerank_default_budget_seconds") or None,
            "span_s": SPAN_S,
            "window_s": WINDOW_S,
            "points": [{"age_s": now_s - point.at_s, **point._asdict()} for point in self._history.points()],
            "paused": bool(reading.total("rerank_partitions_paused")),
            "partitions": _partitions(reading),
            "events": _counts(reading, "rerank_events_total"),
            "dead_letters": _counts(reading, "rerank_dead_letters_total"),
            "deadlines": _counts(reading, "rerank_deadlines_total"),
            "candidates": {"received": reading.total(RECEIVED), "scored": reading.total(SCORED)},
        }
        return orjson.dumps(document)


def _uptime_s(reading: Reading) -> float | None:
    """Return how long the process runs; None where its system does not say when it began."""
    started_s = reading.total(STARTED)
    return time.time() - started_s if started_s else None


def _partitions(reading: Reading) -> list[dict[str, Any]]:
    """Return each partition with its lag, in their order."""
    seconds = {(of["topic"], of["partition"]): value for of, value in reading.series("rerank_consumer_lag_seconds")}
    rows = [
        {
            "topic": of["topic"],
            "partition": int(of["partition"]),
            "lag_records": records,
            "lag_s": seconds.get((of["topic"], of["partition"]), 0.0),
        }
        for of, records in reading.series("rerank_consumer_lag_records")
    ]
    return sorted(rows, key=lambda row: (row["topic"], row["partition"]))


def _counts(reading: Reading, name: str) -> list[dict[str, Any]]:
    return [{**labels, "count": value} for labels, value in reading.series(name)]

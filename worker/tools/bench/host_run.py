"""One run of the whole worker over what its request topic holds, and the processor time of each of its threads."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.app import serve
from worker.dead_letters import REASONS
from worker.exits import Exit, StopError
from worker.kafka_io import check_topics
from worker.metrics import Metrics
from worker.scheduling.cost_model import CostModel
from worker.server import Health
from worker.tools.bench.cpu_time import process_seconds, thread_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.model.cross_encoder import CrossEncoder
    from worker.settings import Settings

_LOOK_S = 0.02
_PATIENCE_S = 30.0  # without any result


@dataclass(frozen=True, slots=True)
class Window:
    """From the first acknowledged results to the last: events between them, seconds, processor seconds by thread."""

    events: int
    seconds: float
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Mark:
    at_s: float
    events: int
    cpu: dict[str, float]


class _Watch:
    """Ends the worker when all events are acknowledged; the main loop asks it on every turn."""

    def __init__(self, metrics: Metrics, total: int, pids: Sequence[int]) -> None:
        self._metrics = metrics
        self._total = total
        self._pids = pids
        self._due_s = 0.0
        self._seen = 0
        self._seen_s = time.monotonic()
        self._first: _Mark | None = None
        self._last: _Mark | None = None

    def window(self) -> Window:
        """Return what was measured, once the worker has ended."""
        first, last = self._first, self._last
        assert first is not None, "the worker stops when the watch says so"
        assert last is not None
        cpu = {name: max(0.0, spent - first.cpu.get(name, 0.0)) for name, spent in last.cpu.items()}
        return Window(last.events - first.events, last.at_s - first.at_s, cpu)

    def __call__(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + _LOOK_S
        count = self._count()
        if count > self._seen:
            self._seen, self._seen_s = count, now_s
        elif now_s > self._seen_s + _PATIENCE_S:
            raise StopError(Exit.CRASH, f"{count} of {self._total} results came, and no other within {_PATIENCE_S:g} s")
        if self._first is None and count:
            self._first = self._mark(now_s, count)
        if count < self._total:
            return False
        self._last = self._mark(now_s, count)
        return True

    def _mark(self, now_s: float, count: int) -> _Mark:
        cpu = thread_seconds()
        cpu["broker"] = process_seconds(self._pids)
        return _Mark(now_s, count, cpu)

    def _count(self) -> int:
        samples = [sample for family in self._metrics.events.published.collect() for sample in family.samples]
        return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def run_worker(settings: Settings, model: CrossEncoder, total: int, pids: Sequence[int] = ()) -> Window:
    """Run the worker in this process, on the main thread, until `total` results are acknowledged.

    `pids` are the broker's processes. Raises StopError, and StageDiedError, as the worker does.
    """
    metrics = Metrics(REASONS)
    watch = _Watch(metrics, total, pids)
    # The topic was filled beforehand, so every event is late; all of them are to be scored all the same.
    settings = replace(settings, batch=replace(settings.batch, on_overload="score"))
    costs = CostModel(settings.costs, [])
    health = Health(settings.server.live_limit_s)
    topics = check_topics(settings.kafka)
    serve(settings, model, costs, metrics, health=health, is_stopping=watch, topics=topics)
    return watch.window()

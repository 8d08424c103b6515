"""Two workers under load, one of them with transactions, and a Prometheus that watches them."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.deploy.prometheus import Prometheus
from tests.integration.line import Line, Worker, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TICK_S = 0.2
_SWING_S = 60.0  # the load swells and ebbs, so that a drawing shows something


class Load(threading.Thread):
    """Publishes until told to stop: mostly good events, some that cannot be in time, some that are no requests."""

    def __init__(self, line: Line, rate: float, candidates: int) -> None:
        super().__init__(name="load", daemon=True)
        self._line = line
        self._rate = rate
        self._candidates = candidates
        self._ended = threading.Event()

    def run(self) -> None:
        owed, number, began_s = 0.0, 0, time.monotonic()
        while not self._ended.wait(_TICK_S):
            swing = 1 + 0.7 * math.sin((time.monotonic() - began_s) / _SWING_S * 2 * math.pi)
            owed += self._rate * swing * _TICK_S
            count, owed = int(owed), owed % 1
            self._line.publish([self._event(number + at) for at in range(count)])
            number += count

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _event(self, number: int) -> dict[str, object] | bytes:
        if number % 40 == 39:
            return b"no JSON"
        return event(number, candidates=self._candidates, budget_ms=1 if number % 20 == 19 else 1000)


@contextmanager
def scene(
    broker: str,
    make_topic: Callable[..., str],
    folder: Path,
    *,
    module: str = "tests.integration.light_worker",
    rate: float = 20,
    candidates: int = 5,
) -> Iterator[tuple[Prometheus, list[Worker]]]:
    """Have a Prometheus watch two workers under load; `module` is what stands for `rerank-worker`."""
    line = Line(broker, make_topic, folder)
    load = Load(line, rate, candidates)
    try:
        line.start(module=module, on_overload="partial")
        line.start(
            module=module, on_overload="partial", delivery="exactly-once", transactional_id=f"of-{line.requests}"
        )
        load.start()
        with Prometheus([f"127.0.0.1:{worker.port}" for worker in line.workers], folder) as prometheus:
            yield prometheus, line.workers
    finally:
        if load.is_alive():
            load.stop()
        line.close()

"""Makes the requests of a run: keys that no other run has, and lists of given sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import orjson

from worker.tools.bench.open_loop import Planned
from worker.tools.bench.saturation import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from worker.tools.bench.workload import Pair, Workload

# The schema's largest budget: nothing is late while capacity is measured.
AMPLE_MS = 600_000.0


class RequestMaker:
    """Takes the products of a workload in turn, from the first again when they are used up."""

    def __init__(self, workload: Workload) -> None:
        self._pairs = workload.pairs
        self._at = 0
        self._numbers = itertools.count(1)

    def rewind(self) -> None:
        """Begin with the first product again, so that the next requests have the texts that the first had."""
        self._at = 0

    def take(self, candidates: int) -> list[Pair]:
        """Return the next pairs, all with the first one's query."""
        chosen = [self._pairs[(self._at + step) % len(self._pairs)] for step in range(candidates)]
        self._at = (self._at + candidates) % len(self._pairs)
        return [(chosen[0][0], text) for _, text in chosen]

    def request(self, candidates: int, budget_ms: float = AMPLE_MS) -> Request:
        """Return the next request."""
        pairs = self.take(candidates)
        name = f"bench-{next(self._numbers)}"
        rows = [{"id": f"p{place}", "text": text} for place, (_, text) in enumerate(pairs)]
        value = {"request_id": name, "query": pairs[0][0], "candidates": rows, "budget_ms": budget_ms}
        return Request(name.encode(), orjson.dumps(value), candidates)

    def plan(self, times: np.ndarray, sizes: np.ndarray, budgets_ms: np.ndarray) -> Iterator[Planned]:
        """Give one event for each time, size and budget."""
        for at_s, size, budget_ms in zip(times.tolist(), sizes.tolist(), budgets_ms.tolist(), strict=True):
            key, value, candidates = self.request(int(size), budget_ms)
            yield Planned(at_s, key, value, candidates, budget_ms / 1000)


def renamed(requests: Sequence[Request], turn: int) -> list[Request]:
    """Return the same requests under other keys, so that the results of one run are not taken for another's."""
    return [Request(b"%s-%d" % (each.key, turn), each.value, each.candidates) for each in requests]

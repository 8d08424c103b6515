"""Makes the requests of a run: keys that no other run has, and lists of given sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import orjson

from worker.exits import Exit, StopError
from worker.tools.bench.open_loop import Planned
from worker.tools.bench.saturation import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from worker.tools.bench.workload import Workload
    from worker.tools.bench.workload_file import Pair

# The schema's largest budget: nothing is late while capacity is measured.
AMPLE_MS = 600_000.0


class Texts(Protocol):
    """Where the products of requests come from."""

    def take(self, count: int) -> list[Pair]:
        """Return the next `count` pairs."""


class InTurn:
    """The pairs of a workload in turn, from the first again when they are used up."""

    def __init__(self, workload: Workload) -> None:
        self._pairs = workload.pairs
        self._at = 0

    def rewind(self) -> None:
        """Begin with the first pair again, so that the next requests have the texts that the first had."""
        self._at = 0

    def take(self, count: int) -> list[Pair]:
        """Return the next `count` pairs."""
        chosen = [self._pairs[(self._at + step) % len(self._pairs)] for step in range(count)]
        self._at = (self._at + count) % len(self._pairs)
        return chosen


class JudgedQueries:
    """Requests of queries whose candidates were judged, in turn, from the first again when they are used up.

    Raises StopError(Exit.USAGE) for a file without any.
    """

    def __init__(self, file: Path) -> None:
        try:
            events = [orjson.loads(line) for line in file.read_bytes().splitlines() if line.strip()]
            self._events = [event for event in events if any(row.get("relevance") for row in event["candidates"])]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StopError(Exit.USAGE, f"--quality: {file}: expected a request a line: {error}") from error
        if not self._events:
            raise StopError(
                Exit.USAGE, f"--quality: {file}: expected candidates with a `relevance` above 0, there are none"
            )
        self._numbers = itertools.count()
        self.description = f"{len(self._events):,} judged queries of {file.name}"
        sizes = [len(event["candidates"]) for event in self._events]
        self.candidates = sum(sizes) / len(sizes)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._events)

    def plan(self, times: np.ndarray, budgets_ms: np.ndarray) -> Iterator[Planned]:
        """Give one event for each time and budget."""
        for at_s, budget_ms in zip(times.tolist(), budgets_ms.tolist(), strict=True):
            key, value, candidates = self.request(budget_ms)
            event = self._events[int(key.rsplit(b"-", 1)[1]) % len(self._events)]
            relevance = np.array([row.get("relevance") or 0.0 for row in event["candidates"]])
            yield Planned(at_s, key, value, candidates, budget_ms / 1000, relevance)

    def request(self, budget_ms: float = AMPLE_MS) -> Request:
        """Return the next request."""
        number = next(self._numbers)
        event = self._events[number % len(self._events)]
        name = f"judged-{number}"
        value = {**event, "request_id": name, "budget_ms": budget_ms}
        return Request(name.encode(), orjson.dumps(value), len(event["candidates"]))


class Round(NamedTuple):
    """The same lists twice: as pairs for a bare scorer, and as requests for whatever is behind a broker."""

    pairs: list[Pair]
    requests: list[Request]


class RequestMaker:
    """Makes requests of the products that `texts` gives, and numbers them."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._numbers = itertools.count(1)

    def pairs(self, candidates: int) -> list[Pair]:
        """Return the next pairs, all of them with the query of the first, as they are in one request."""
        chosen = self._texts.take(candidates)
        return [(chosen[0][0], text) for _, text in chosen]

    def request(self, candidates: int, budget_ms: float = AMPLE_MS) -> Request:
        """Return the next request."""
        return self.request_of(self.pairs(candidates), budget_ms)

    def request_of(self, pairs: Sequence[Pair], budget_ms: float = AMPLE_MS) -> Request:
        """Return a request of these pairs, which share a query."""
        name = f"bench-{next(self._numbers)}"
        rows = [{"id": f"p{place}", "text": text} for place, (_, text) in enumerate(pairs)]
        value = {"request_id": name, "query": pairs[0][0], "candidates": rows, "budget_ms": budget_ms}
        return Request(name.encode(), orjson.dumps(value), len(pairs))

    def round(self, events: int, candidates: int) -> Round:
        """Return the next lists, as many as `events`."""
        lists = [self.pairs(candidates) for _ in range(events)]
        return Round(list(itertools.chain(*lists)), [self.request_of(pairs) for pairs in lists])

    def again(self, round_: Round) -> Round:
        """Return the same lists, as new requests."""
        pairs = iter(round_.pairs)
        lists = [list(itertools.islice(pairs, each.candidates)) for each in round_.requests]
        return Round(round_.pairs, [self.request_of(each) for each in lists])

    def plan(self, times: np.ndarray, sizes: np.ndarray, budgets_ms: np.ndarray) -> Iterator[Planned]:
        """Give one event for each time, size and budget."""
        for at_s, size, budget_ms in zip(times.tolist(), sizes.tolist(), budgets_ms.tolist(), strict=True):
            key, value, candidates = self.request(int(size), budget_ms)
            yield Planned(at_s, key, value, candidates, budget_ms / 1000)

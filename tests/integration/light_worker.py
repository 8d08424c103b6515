"""`rerank-worker` with a model that is ready at once and takes a fixed time: everything else in it is real.

LIGHT_WORKER_FAULT makes every fifth transaction fail: at a `send`, or `before the commit` or `after the commit`.
LIGHT_WORKER_SLOW_FILE names a file; while it exists, an event takes SLOWNESS times as long.
LIGHT_WORKER_EVENT_S is how long the model takes for an event; 2 ms if not given.
LIGHT_WORKER_BATCH_S and LIGHT_WORKER_PAIR_S, in its place, are how long it takes for a batch and for each pair in it.
LIGHT_WORKER_GATE is a file that must be there before the model is.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worker import __version__, cli
from worker.app import load_model as loading
from worker.flow.job import ModelName, Pairs
from worker.kafka_io import TransactionalProducer, TransactionFailed
from worker.model.retry_halves import RetryHalves
from worker.model.rows import rows_of
from worker.model.tokenization.token_cache import TokenCache
from worker.scheduling.cost_model import CostModel, Load, packed_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.config.settings import Settings
    from worker.flow.job import Slice
    from worker.model.rows import RaggedBatch
    from worker.observe.metrics import Metrics

EVENT_VARIABLE = "LIGHT_WORKER_EVENT_S"
_EVENT_S = float(os.environ.get(EVENT_VARIABLE, "0.002"))
BATCH_VARIABLE, PAIR_VARIABLE = "LIGHT_WORKER_BATCH_S", "LIGHT_WORKER_PAIR_S"
_BATCH_S, _PAIR_S = (float(os.environ.get(name, "0")) for name in (BATCH_VARIABLE, PAIR_VARIABLE))
SLOWNESS = 100
SLOW_FILE = Path(os.environ["LIGHT_WORKER_SLOW_FILE"]) if "LIGHT_WORKER_SLOW_FILE" in os.environ else None


class Encoder:
    """Makes each pair one token, by which it can be scored."""

    def encode(self, query: str, texts: list[str]) -> Pairs:
        count = len(texts)
        ids = np.array([zlib.crc32(f"{query} {text}".encode()) >> 2 for text in texts], dtype=np.int32)
        return Pairs(ids, np.arange(count + 1, dtype=np.int64), np.ones(count, dtype=np.int32))


class Forward:
    """What stands for the network: a pair's logit is what its one token says. It is wrapped to make it fail."""

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Take all rows at once."""
        yield np.arange(len(rows))

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> np.ndarray:
        """Return the logits of the chosen rows, float32 (rows,)."""
        logits: np.ndarray = (rows.ids[rows.starts[chosen]] % 1000 / 1000).astype(np.float32)
        return logits

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens that computes."""
        return int(rows.lengths[chosen].sum())


class _Flight:
    """A batch on its way through the worker's own halving, which is what deals with a failure."""

    def __init__(self, batch: list[Slice]) -> None:
        self._rows = rows_of(batch)
        self._work: RetryHalves[np.ndarray] = RetryHalves(Forward(), self._rows)
        self.failures: dict[int, Exception] = {}
        self.tokens = self.padding = 0
        self.device_s: float | None = None

    def is_done(self) -> bool:
        return False

    def wait_for_room(self) -> bool:
        return False

    def wait(self) -> list[np.ndarray]:
        scored = self._work.finish()
        slow = SLOW_FILE is not None and SLOW_FILE.exists()
        takes_s = _BATCH_S + _PAIR_S * len(self._rows) or _EVENT_S * (len(self._rows.bounds) - 1)
        time.sleep(takes_s * (SLOWNESS if slow else 1))
        self.tokens, self.padding = scored.tokens, scored.padding
        for row, error in sorted(scored.failures.items()):
            self.failures.setdefault(int(np.searchsorted(self._rows.bounds, row, side="right")) - 1, error)
        return [scored.logits[start:stop] for start, stop in itertools.pairwise(self._rows.bounds)]


class _Model:
    name, activation, device, overlaps = ModelName("light", "1"), "sigmoid", "cpu", False
    cache, score_cache, product_fields = TokenCache(0), None, None

    def pair_encoder(self) -> Encoder:
        return Encoder()

    def warm_thread(self) -> None:
        pass

    def load_of(self, lengths: np.ndarray) -> Load:
        return packed_load(lengths)

    def launch(self, batch: list[Slice]) -> _Flight:
        return _Flight(batch)


def _load(settings: Settings, metrics: Metrics) -> Any:
    metrics.model.name_build(__version__, _Model.name, _Model.device, "none")
    if gate := os.environ.get("LIGHT_WORKER_GATE"):
        logging.getLogger("worker").info("waiting for the gate")
        while not Path(gate).exists():
            time.sleep(0.05)
    return _Model(), CostModel(settings.costs, [])


def _fail_often(fault: str) -> None:
    send, commit, numbers = TransactionalProducer.send, TransactionalProducer.commit, itertools.count(1)

    def failing_send(producer: TransactionalProducer, *outgoing: Any) -> None:
        send(producer, *outgoing)
        if next(numbers) % 50 == 0:
            raise TransactionFailed(f"injected: {fault}")

    def failing_commit(producer: TransactionalProducer, *offsets: Any) -> None:
        failing = next(numbers) % 5 == 0
        if not failing or fault == "after the commit":
            commit(producer, *offsets)
        if failing:
            raise TransactionFailed(f"injected: {fault}")

    if fault == "send":
        TransactionalProducer.send = failing_send  # type: ignore[assignment, method-assign]
    else:
        TransactionalProducer.commit = failing_commit  # type: ignore[assignment, method-assign]


def install() -> None:
    """Have the worker load this model."""
    loading._load = _load


if __name__ == "__main__":
    install()
    if fault := os.environ.get("LIGHT_WORKER_FAULT"):
        _fail_often(fault)
    cli.main()

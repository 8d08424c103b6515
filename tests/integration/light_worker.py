"""`rerank-worker` with a model that is ready at once and takes a fixed time: everything else in it is real.

LIGHT_WORKER_FAULT makes every fifth transaction fail: at a `send`, or `before the commit` or `after the commit`.
LIGHT_WORKER_EVENT_S is how long the model takes for an event; 2 ms if not given.
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

from worker import app, cli
from worker.costs import CostModel
from worker.jobs import ModelName, Pairs
from worker.kafka_io import TransactionalProducer, TransactionFailed
from worker.model.token_cache import TokenCache

if TYPE_CHECKING:
    from worker.jobs import Slice
    from worker.metrics import Metrics
    from worker.settings import Settings

EVENT_S = float(os.environ.get("LIGHT_WORKER_EVENT_S", "0.002"))


class _Encoder:
    """Makes each pair one token, by which it can be scored."""

    def encode(self, query: str, texts: list[str]) -> Pairs:
        count = len(texts)
        ids = np.array([zlib.crc32(f"{query} {text}".encode()) >> 2 for text in texts], dtype=np.int32)
        return Pairs(ids, np.arange(count + 1, dtype=np.int64), np.ones(count, dtype=np.int32))


class _Flight:
    padding = 0

    def __init__(self, batch: list[Slice]) -> None:
        self._batch = batch
        self.failures: dict[int, Exception] = {}
        self.tokens = sum(stop - start for _, start, stop in batch)

    def wait(self) -> list[np.ndarray]:
        time.sleep(EVENT_S * len(self._batch))
        scores = []
        for job, start, stop in self._batch:
            assert job.pairs is not None
            scores.append((job.pairs.ids[start:stop] % 1000 / 1000).astype(np.float32))
        return scores


class _Model:
    name, activation, device, overlaps = ModelName("light", "1"), "sigmoid", "cpu", False
    cache, score_cache = TokenCache(0), None

    def pair_encoder(self) -> _Encoder:
        return _Encoder()

    def launch(self, batch: list[Slice]) -> _Flight:
        return _Flight(batch)


def _load(settings: Settings, metrics: Metrics) -> Any:  # noqa: ARG001 - what it stands in for takes them
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


if __name__ == "__main__":
    app._load_model = _load
    if fault := os.environ.get("LIGHT_WORKER_FAULT"):
        _fail_often(fault)
    cli.main()

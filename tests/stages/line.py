"""Stages with a model, an encoder and a broker that fail where they are told to."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import NormalizedString

from tests import making
from worker.channel import Channel
from worker.dead_letters import REASONS
from worker.delivery import AtLeastOnce, Ending
from worker.events import Decoder, EventOptions
from worker.jobs import Job, ModelName, Pairs, Slice
from worker.kafka_io import KafkaOptions, RecordTooLarge
from worker.metrics import Metrics
from worker.model.token_cache import TokenCache
from worker.pipeline import Pulse
from worker.scheduling.cost_model import CostModel, CostOptions, Load, packed_load
from worker.scheduling.latency import LatencyWindow
from worker.scheduling.limits import BatchLimits
from worker.scheduling.scheduler import Scheduler
from worker.stages import Publish, Score, Tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.model.score_cache import ScoreCache
    from worker.scheduling.policy import OnOverload


def panic() -> None:
    """Raise what a library that is written in Rust raises, by means of the one of the tokenizers."""
    NormalizedString("x").filter(lambda character: 1 // (ord(character) - ord("x")))


ENDS = {"interrupt": KeyboardInterrupt, "exit": SystemExit}

SCORE_ALL = BatchLimits(on_overload="score")


class Flight:
    """A batch whose second slice fails."""

    tokens, padding = 7, 1
    device_s: float | None = None

    def is_done(self) -> bool:
        return False

    def wait_for_room(self) -> bool:
        return False

    def __init__(self, batch: list[Slice], failures: dict[int, Exception]) -> None:
        self._batch = batch
        self.failures = failures

    def wait(self) -> list[np.ndarray]:
        bad = [np.nan if number in self.failures else 1.0 for number in range(len(self._batch))]
        return [
            np.full(stop - start, logit, np.float32) for (_, start, stop), logit in zip(self._batch, bad, strict=True)
        ]


class Model:
    """A model and an encoder that fail where they are told to."""

    name, activation, cache = ModelName("m", "1"), "sigmoid", TokenCache(0)
    score_cache: ScoreCache | None = None
    overlaps = False

    def __init__(self, failing_slice: int | None = None) -> None:
        self._failures: dict[int, Exception] = (
            {} if failing_slice is None else {failing_slice: MemoryError("out of memory")}
        )

    def warm_thread(self) -> None:
        pass

    def load_of(self, lengths: np.ndarray) -> Load:
        return packed_load(lengths)

    def launch(self, batch: list[Slice]) -> Flight:
        return Flight(batch, self._failures)

    def encode(self, query: str, texts: list[str]) -> Pairs:
        if query == "broken":
            raise RuntimeError("the tokenizer failed")
        if query == "panic":
            panic()
        if query in ENDS:
            raise ENDS[query]
        return making.pairs(*[3] * len(texts))


class Broker:
    """A producer whose topics refuse values above a size."""

    def __init__(self, largest: dict[str, int]) -> None:
        self._largest = largest
        self.sent: list[tuple[str, bytes | None, bytes | None, Any]] = []

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Any, done: Callable[[None], None]
    ) -> None:
        if len(value or b"") > self._largest[topic]:
            raise RecordTooLarge(f"expected at most {self._largest[topic]} bytes")
        self.sent.append((topic, key, value, headers))
        done(None)


class Beats(Pulse):
    """A pulse that notes what each beat allows for, and says when there were enough."""

    def __init__(self, enough: int = 1) -> None:
        super().__init__()
        self.allowed_s: list[float] = []
        self.went_round = threading.Event()
        self._enough = enough

    def beat(self, ahead_s: float = 0.0) -> None:
        self.allowed_s.append(ahead_s)
        if len(self.allowed_s) >= self._enough:
            self.went_round.set()


def an_event(query: str = "drill") -> bytes:
    return json.dumps({"request_id": "r", "query": query, "candidates": [{"id": "a", "text": "b"}]}).encode()


def raw(value: bytes | None, offset: int = 0) -> Job:
    made = making.job(1, offset=offset)
    return Job(making.record(offset, value=value), made.ticket, received_s=0.0, created_s=100.0)


def tokenize(
    *jobs: Job, score_cache: ScoreCache | None = None, limits: BatchLimits = SCORE_ALL
) -> tuple[list[Job], list[Job]]:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    model: Any = Model()
    Tokenize(Decoder(EventOptions()), model, 500, limits, score_cache).run(jobs, scoring, publishing)
    scoring.close()
    publishing.close()
    return list(scoring), list(publishing)


def score(
    model: Model,
    *jobs: Job,
    batch_tokens: int = 100,
    on_overload: OnOverload = "score",
    metrics: Metrics | None = None,
) -> list[Job]:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    for job in jobs:
        scoring.put(job)
    scoring.close()
    loaded: Any = model
    costs = CostModel(CostOptions(), [])
    scheduler = Scheduler(BatchLimits(on_overload=on_overload), batch_tokens, costs)
    shown = metrics or Metrics(REASONS)
    Score(scheduler, costs, loaded, shown, pulse=Pulse(), delays=LatencyWindow()).run(scoring, publishing)
    publishing.close()
    return list(publishing)


def publish(
    broker: Broker,
    *jobs: Job,
    acknowledged_in_s: float = 0.0,
    metrics: Metrics | None = None,
    options: KafkaOptions | None = None,
    keyed: Iterable[str] = (),
) -> list[Ending]:
    endings: Channel[Ending] = Channel()
    producer: Any = broker
    model: Any = Model()
    inbox: Channel[Job] = Channel()
    for job in jobs:
        if job.logits is not None and not job.shed:
            job.logits[np.isnan(job.logits)] = 1.0
        inbox.put(job)
    inbox.close()
    delivery = AtLeastOnce(lambda: producer, endings)
    for topic in keyed:
        delivery.keyed.add(topic)
    for _ in range(10):
        delivery.delays.observe(acknowledged_in_s, time.monotonic())
    Publish(delivery, options or KafkaOptions(), model, metrics or Metrics(REASONS), Pulse()).run(inbox)
    endings.close()
    return list(endings)

"""What the stages do with what goes wrong: faults that a real model or broker cannot be made to show."""

from __future__ import annotations

import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests import making
from worker.channel import Channel
from worker.costs import CostModel, CostOptions, Load
from worker.dead_letters import REASONS, read
from worker.delays import Delays
from worker.delivery import AtLeastOnce, Ending
from worker.events import Decoder, EventOptions
from worker.exits import Exit, StopError
from worker.jobs import Job, ModelName, Pairs, Record, Slice
from worker.kafka_io import KafkaOptions, RecordTooLarge
from worker.ledger import Ledger
from worker.metrics import Metrics
from worker.model.score_cache import ScoreCache
from worker.model.token_cache import TokenCache
from worker.pipeline import Pulse
from worker.scheduler import BatchLimits, Scheduler
from worker.stages import Publish, Score, Tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.batch import OnOverload


SCORE_ALL = BatchLimits(on_overload="score")


class Flight:
    """A batch whose second slice fails."""

    tokens, padding = 7, 1

    def is_done(self) -> bool:
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

    def launch(self, batch: list[Slice]) -> Flight:
        return Flight(batch, self._failures)

    def encode(self, query: str, texts: list[str]) -> Pairs:
        if query == "broken":
            raise RuntimeError("the tokenizer failed")
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


def _event(query: str = "drill") -> bytes:
    return json.dumps({"request_id": "r", "query": query, "candidates": [{"id": "a", "text": "b"}]}).encode()


def _raw(value: bytes | None, offset: int = 0) -> Job:
    made = making.job(1, offset=offset)
    return Job(making.record(offset, value=value), made.ticket, received_s=0.0, created_s=100.0)


def _tokenize(
    *jobs: Job, score_cache: ScoreCache | None = None, limits: BatchLimits = SCORE_ALL
) -> tuple[list[Job], list[Job]]:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    model: Any = Model()
    Tokenize(Decoder(EventOptions()), model, 500, limits, score_cache).run(jobs, scoring, publishing)
    scoring.close()
    publishing.close()
    return list(scoring), list(publishing)


def test_what_stands_for_lost_records_becomes_a_dead_letter_that_says_which() -> None:
    job = _raw(b"")
    job.record = making.corrupt(3, 7)
    scoring, publishing = _tokenize(job)
    assert (scoring, publishing) == ([], [job])
    broker = Broker({"rerank-dead-letters": 10_000})
    _publish(broker, job)
    ((_, key, value, headers),) = broker.sent
    assert (key, value) == (None, None)
    letter = read(Record(making.PARTITION, 0, 0, key, b"", tuple(headers)))
    assert (letter.reason, letter.offset, letter.last_offset, letter.value) == ("corrupt", 3, 6, None)
    assert letter.timestamp_ms == -1


def test_an_event_gets_its_deadline_from_its_own_budget_or_the_workers() -> None:
    own = json.dumps({**json.loads(_event()), "budget_ms": 50}).encode()
    scoring, publishing = _tokenize(_raw(_event()), _raw(own, 1))
    assert publishing == []
    assert [job.deadline_s for job in scoring] == [100.5, 100.05]


def test_a_bad_event_and_one_that_cannot_be_tokenized_become_dead_letters() -> None:
    scoring, publishing = _tokenize(_raw(b"{"), _raw(_event("broken"), 1), _raw(_event(), 2))
    assert [job.record.offset for job in scoring] == [2]
    faults = [job.fault for job in publishing if job.fault]
    assert [(fault.reason, fault.stage) for fault in faults] == [("not_json", "decode"), ("tokenizer", "tokenize")]
    assert {fault.reason for fault in faults} <= set(REASONS)


def test_an_event_of_a_partition_that_is_given_up_is_put_aside_unread() -> None:
    ledger = Ledger()
    ledger.assign([making.PARTITION])
    made = making.job(1, ledger=ledger)
    ledger.retire([making.PARTITION])
    job = Job(making.record(), made.ticket, received_s=0.0, created_s=0.0)
    scoring, publishing = _tokenize(job)
    assert (scoring, publishing) == ([], [job])
    assert job.dropped
    assert job.request is None


@pytest.mark.parametrize("policy", ["partial", "passthrough"])
def test_an_event_whose_time_was_over_before_it_was_tokenized_is_not_tokenized(policy: OnOverload) -> None:
    late = _raw(_event("broken"))  # which the tokenizer would fail on
    late.created_s = -1e6
    assert _tokenize(late, limits=BatchLimits(on_overload=policy)) == ([], [late])
    assert (late.fault, late.shed) == (None, "no_time")
    broker = Broker({"rerank-results": 10_000})
    _publish(broker, late)
    result = json.loads(broker.sent[0][2] or b"")
    assert (result["outcome"], result["reason"], result["deadline_met"]) == ("passthrough", "no_time", False)
    assert [row["score"] for row in result["ranking"]] == [None]


def test_what_is_scored_however_late_is_tokenized_however_late() -> None:
    late = _raw(_event())
    late.created_s = -1e6
    for limits in (SCORE_ALL, BatchLimits(schedule="fifo")):
        assert _tokenize(late, limits=limits) == ([late], [])


def _score(model: Model, *jobs: Job, batch_tokens: int = 100, on_overload: OnOverload = "score") -> list[Job]:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    for job in jobs:
        scoring.put(job)
    scoring.close()
    loaded: Any = model
    costs = CostModel(CostOptions(), [])
    scheduler = Scheduler(BatchLimits(on_overload=on_overload), batch_tokens, costs)
    Score(scheduler, costs, loaded, Metrics(REASONS), pulse=Pulse(), delays=Delays()).run(scoring, publishing)
    publishing.close()
    return list(publishing)


def test_one_event_that_cannot_be_scored_does_not_spoil_those_that_share_its_batch() -> None:
    jobs = [making.job(1, 1, offset=offset) for offset in range(3)]
    assert _score(Model(failing_slice=1), *jobs) == jobs
    assert [job.fault and job.fault.reason for job in jobs] == [None, "model", None]
    assert jobs[0].logits is not None
    assert not np.isnan(jobs[0].logits).any()


def test_an_event_in_several_batches_is_handed_on_once_when_it_is_complete() -> None:
    job = making.job(*[10] * 7)
    assert _score(Model(), job, batch_tokens=20) == [job]
    assert job.unscored == 0
    assert job.logits is not None
    assert job.logits.tolist() == [1.0] * 7


def test_an_event_whose_scores_are_all_remembered_goes_past_the_scorer() -> None:
    model = Model()
    model.score_cache = ScoreCache(1 << 20, model.name)
    [new], [] = _tokenize(_raw(_event()), score_cache=model.score_cache)
    assert _score(model, new) == [new]
    again = _raw(_event(), 1)
    assert _tokenize(again, score_cache=model.score_cache) == ([], [again])
    assert again.candidate_logits().tolist() == new.candidate_logits().tolist() == [1.0]
    assert again.fault is None


def test_events_of_a_partition_that_is_given_up_are_not_scored() -> None:
    ledger = Ledger()
    ledger.assign([making.PARTITION])
    stale = making.job(1, ledger=ledger)
    ledger.retire([making.PARTITION])
    assert _score(Model(), stale) == [stale]
    assert stale.dropped
    assert stale.unscored == 1


@pytest.mark.parametrize("overlaps", [False, True])
def test_an_event_whose_time_is_over_goes_on_as_it_came(*, overlaps: bool) -> None:
    model = Model()
    model.overlaps = overlaps
    late, fine = making.job(1, 1, deadline_s=0.0), making.job(1, deadline_s=math.inf, offset=1)
    assert _score(model, late, fine, on_overload="partial") == [late, fine]
    assert (late.limit, late.shed, late.unscored) == (0, "no_time", 0)
    assert late.logits is not None
    assert np.isnan(late.logits).all()
    assert (fine.limit, fine.shed) == (1, None)


def test_the_next_batch_is_launched_before_the_one_on_the_device_is_waited_for() -> None:
    happened: list[str] = []

    class Watched(Flight):
        def wait(self) -> list[np.ndarray]:
            happened.append("wait")
            return super().wait()

    class Overlapping(Model):
        overlaps = True

        def launch(self, batch: list[Slice]) -> Flight:
            happened.append("launch")
            return Watched(batch, {})

    jobs = [making.job(10, offset=offset) for offset in range(3)]
    assert _score(Overlapping(), *jobs, batch_tokens=10) == jobs
    assert happened == ["launch", "launch", "wait", "launch", "wait", "wait"]


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


def test_the_scorer_allows_for_what_a_batch_is_predicted_to_take() -> None:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    scoring.put(making.job(10))
    scoring.close()
    model: Any = Model()
    costs = CostModel(CostOptions(), [(Load(10, 100), 500.0)])
    pulse = Beats()
    scheduler = Scheduler(BatchLimits(on_overload="score"), 100, costs)
    Score(scheduler, costs, model, Metrics(REASONS), pulse=pulse, delays=Delays()).run(scoring, publishing)
    launching_s, waiting_s = (allowed_s for allowed_s in pulse.allowed_s if allowed_s)
    assert launching_s >= waiting_s > 400


def test_the_publisher_goes_round_though_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "IDLE_S", 0.001)
    inbox: Channel[Job] = Channel()
    endings: Channel[Ending] = Channel()
    producer: Any = Broker({})
    model: Any = Model()
    pulse = Beats(enough=3)
    publish = Publish(AtLeastOnce(producer, endings), KafkaOptions(), model, Metrics(REASONS), pulse)
    thread = threading.Thread(target=publish.run, args=(inbox,))
    thread.start()
    assert pulse.went_round.wait(60)
    inbox.close()
    thread.join(60)
    assert not thread.is_alive()


def _publish(broker: Broker, *jobs: Job, acknowledged_in_s: float = 0.0) -> list[Ending]:
    endings: Channel[Ending] = Channel()
    producer: Any = broker
    model: Any = Model()
    inbox: Channel[Job] = Channel()
    for job in jobs:
        if job.logits is not None:
            job.logits[:] = 1.0
        inbox.put(job)
    inbox.close()
    delivery = AtLeastOnce(producer, endings)
    for _ in range(10):
        delivery.delays.observe(acknowledged_in_s)
    Publish(delivery, KafkaOptions(), model, Metrics(REASONS), Pulse()).run(inbox)
    endings.close()
    return list(endings)


def test_a_deadline_is_met_only_where_the_acknowledgement_is_expected_before_it() -> None:
    now_s = time.monotonic()
    jobs = [making.job(1, deadline_s=now_s + left_s, offset=at) for at, left_s in enumerate((-1, 100, 1000))]
    broker = Broker({"rerank-results": 10_000})
    _publish(broker, *jobs, acknowledged_in_s=500)
    assert [json.loads(value or b"")["deadline_met"] for _, _, value, _ in broker.sent] == [False, False, True]


def test_a_result_that_its_topic_refuses_becomes_a_dead_letter() -> None:
    broker = Broker({"rerank-results": 10, "rerank-dead-letters": 10_000})
    job = making.job(1)
    assert [(ending.job, ending.error) for ending in _publish(broker, job)] == [(job, None)]
    ((topic, key, value, headers),) = broker.sent
    assert topic == "rerank-dead-letters"
    letter = read(Record(making.PARTITION, 0, 0, key, value, tuple(headers)))
    assert (letter.reason, letter.value) == ("result_too_large", job.record.value)


def test_a_dead_letter_that_its_topic_refuses_goes_without_the_value() -> None:
    broker = Broker({"rerank-results": 0, "rerank-dead-letters": 1})
    assert len(_publish(broker, making.job(1))) == 1
    ((_, _, value, headers),) = broker.sent
    assert value is None
    assert dict(headers)["dlq.value-dropped"].startswith(b"bytes=2 ")


def test_what_fits_nowhere_stops_the_worker_and_names_the_record() -> None:
    with pytest.raises(StopError, match="requests partition 0 offset 7") as caught:
        _publish(Broker({"rerank-results": -1, "rerank-dead-letters": -1}), making.job(1, offset=7))
    assert caught.value.code is Exit.DELIVERY


def test_a_defect_while_a_result_is_written_costs_that_event_and_no_other() -> None:
    broken, fine = making.job(1), making.job(1, offset=1)
    broken.request = None
    broker = Broker({"rerank-results": 10_000, "rerank-dead-letters": 10_000})
    assert len(_publish(broker, broken, fine)) == 2
    assert [topic for topic, *_ in broker.sent] == ["rerank-dead-letters", "rerank-results"]
    assert broken.fault is not None
    assert broken.fault.reason == "defect"


def test_nothing_is_published_of_a_partition_that_is_gone() -> None:
    ledger = Ledger()
    ledger.assign([making.PARTITION])
    job = making.job(1, ledger=ledger)
    ledger.forget([making.PARTITION])
    broker = Broker({})
    assert [ending.job for ending in _publish(broker, job)] == [job]
    assert job.dropped
    assert broker.sent == []

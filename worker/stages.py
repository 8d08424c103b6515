"""The bodies of the stage threads: tokenize, score, publish."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from annotated_types import Gt
from typing_extensions import Doc

from worker import __version__
from worker.channel import EndOfChannelError
from worker.corrupt_records import fault as corrupt_fault
from worker.dead_letters import dead_letter
from worker.delivery import Outgoing
from worker.events import Decoder, InvalidEvent, encode_result
from worker.exits import Exit, StopError
from worker.jobs import Fault, Job, Slice
from worker.kafka_io import KafkaOptions, RecordTooLarge
from worker.model.repeats import without_repeats
from worker.ordering import Order
from worker.ranking import displacement, rank
from worker.scheduler import NO_TIME, degrades

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.channel import Channel
    from worker.costs import CostModel, Load
    from worker.delays import Delays
    from worker.delivery import Delivery
    from worker.metrics import Metrics
    from worker.model.cross_encoder import CrossEncoder, Flight
    from worker.model.score_cache import ScoreCache
    from worker.model.tokens import PairEncoder
    from worker.pipeline import Pulse
    from worker.scheduler import BatchLimits, Scheduler

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """How the stages are staffed."""

    tokenizer_threads: Annotated[int, Gt(0), Doc("Threads that decode and tokenize.")] = 2


class Tokenize:
    """Decodes and tokenizes; a bad event becomes a dead letter here, and only here."""

    def __init__(
        self,
        decoder: Decoder,
        encoder: PairEncoder,
        default_budget_ms: float,
        limits: BatchLimits,
        score_cache: ScoreCache | None = None,
    ) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._score_cache = score_cache
        self._default_budget_ms = default_budget_ms
        self._limits = limits

    def run(self, inbox: Iterable[Job], scoring: Channel[Job], publishing: Channel[Job]) -> None:
        """Take events one by one until the inbox ends."""
        for job in inbox:
            job.dropped = not job.ticket.wanted
            if not job.dropped:
                self._prepare(job)
            (publishing if job.fault or not job.unscored else scoring).put(job)

    def _prepare(self, job: Job) -> None:
        began_s = time.monotonic()
        job.spent_s["waiting"] = began_s - job.received_s
        job.fault = corrupt_fault(job.record)
        if job.fault is not None:
            return
        try:
            job.request = self._decoder.decode(job.record)
        except InvalidEvent as error:
            job.fault = Fault(error.reason, "decode", type(error).__name__, str(error), error.path)
            return
        except Exception as error:
            job.fault = _defect(job, "decode", error)
            return
        budget_ms = job.request.budget_ms or self._default_budget_ms
        job.deadline_s = job.created_s + budget_ms / 1000
        decoded_s = time.monotonic()
        if degrades(self._limits) and decoded_s >= job.deadline_s:
            job.spent_s["decode"] = decoded_s - began_s
            job.shed_to(0, NO_TIME)  # a backlog drains as fast as it can be read
            return
        try:
            job.expect(without_repeats(self._encoder.encode(job.request.query, job.request.texts)))
            if self._score_cache is not None:
                self._score_cache.look_up(job)
        except Exception as error:  # one event's text must not stop the stream
            log.exception("an event could not be tokenized", extra=_where(job))
            job.fault = Fault("tokenizer", "tokenize", type(error).__name__, str(error))
            return
        job.tokenized_s = time.monotonic()
        job.spent_s["decode"] = decoded_s - began_s
        job.spent_s["tokenize"] = job.tokenized_s - decoded_s


class _Flying(NamedTuple):
    """A batch that was launched: when it is expected back, and what it is to the cost model."""

    batch: list[Slice]
    flight: Flight
    began_s: float
    expected_s: float
    load: Load


class Score:
    """Owns the scheduler and the device: batches what waits, scores it, hands on what is complete.

    Where the device has a queue of its own, the next batch is put together while one is on it, as late as possible: as
    soon as the device will be free within the time that the host needs to prepare it, or is free sooner than expected.
    What comes until then shares it. `delays` are those of publishing: an event is due so much before its deadline.
    """

    IDLE_S = 0.5  # how long to wait for work before the pulse is beaten again
    SWEEP_S = 0.02  # how long what is to be given up may stay in the queue; looking for it costs time for each event
    PREPARE_S = 0.002  # what the host needs to lay out a batch and launch it
    LOOK_S = 0.0005  # how late it may be seen that a batch is back: it would count as the device's time

    def __init__(  # noqa: PLR0913 - what it decides by, and what it decides about
        self,
        scheduler: Scheduler,
        costs: CostModel,
        model: CrossEncoder,
        metrics: Metrics,
        *,
        pulse: Pulse,
        delays: Delays,
    ) -> None:
        self._scheduler = scheduler
        self._costs = costs
        self._model = model
        self._metrics = metrics
        self._pulse = pulse
        self._delays = delays
        self.is_warm = False  # any thread may look
        self._flying: deque[_Flying] = deque()
        self._sweep_due_s = 0.0
        self._free_s = 0.0  # when the device came back from its last batch

    def run(self, inbox: Channel[Job], publishing: Channel[Job]) -> None:
        """Score until the inbox has ended and nothing waits or flies."""
        self._model.warm_thread()
        self.is_warm = True
        ended = False
        depth = 1 if self._model.overlaps else 0
        while not (ended and not self._scheduler and not self._flying):
            self._pulse.beat()
            try:
                arrived = inbox.take(self._patience_s(time.monotonic()))
            except EndOfChannelError:
                ended, arrived = True, []
            for job in arrived:
                self._scheduler.add(job, self._delays.usual_s)
            self._sweep(publishing)
            while self._flying and self._flying[0].flight.is_done():
                self._land(self._flying.popleft(), publishing)
            if not ended and self._patience_s(time.monotonic()) > 0:
                continue  # the device is busy for longer than the next batch takes to prepare
            launched = self._launch(publishing)
            while len(self._flying) > (depth if launched else 0):
                self._land(self._flying.popleft(), publishing)

    def _sweep(self, publishing: Channel[Job]) -> None:
        """Put aside, now and then, what waits of partitions that are being given up."""
        now_s = time.monotonic()
        if now_s >= self._sweep_due_s:
            self._sweep_due_s = now_s + self.SWEEP_S
            for job in self._scheduler.sweep():
                job.dropped = True
                publishing.put(job)

    def _patience_s(self, now_s: float) -> float:
        """Return how long the next batch may wait for more events, before it is to be looked at again."""
        if self._flying:
            return min(self.LOOK_S, max(0.0, self._flying[-1].expected_s - self.PREPARE_S - now_s))
        return 0.0 if self._scheduler else self.IDLE_S

    def _launch(self, publishing: Channel[Job]) -> bool:
        """Launch the next batch, and hand on what will not be scored; return whether there was one."""
        now_s = time.monotonic()
        free_s = max(now_s, self._flying[-1].expected_s) if self._flying else now_s
        dispatch = self._scheduler.next_batch(free_s)
        for job in dispatch.passed:
            if job.unscored == 0:  # else a part of it is still on the device
                self._hand_on(job, publishing)
        if dispatch.probe is not None and not self._flying:
            self._measure(dispatch.probe, dispatch.load)
        if not dispatch.batch:
            return False
        predicted_s = self._costs.predict(dispatch.load)
        self._metrics.dispatches.labels(dispatch.reason).inc()
        self._metrics.predicted_batch_seconds.observe(predicted_s)
        for job, start, stop in dispatch.batch:
            if start == 0:
                job.dispatched_s = now_s
                job.spent_s["schedule"] = now_s - job.tokenized_s
            if stop == job.limit:
                self._metrics.slack.observe(job.deadline_s - now_s)
        self._pulse.beat(predicted_s)
        flight = self._model.launch(dispatch.batch)
        self._flying.append(_Flying(dispatch.batch, flight, now_s, free_s + predicted_s, dispatch.load))
        return True

    def _measure(self, probe: Slice, load: Load) -> None:
        """Score pairs of an event that was handed on for the time that they take; their logits go nowhere."""
        began_s = time.monotonic()
        self._model.launch([probe]).wait()
        self._costs.observe(load, time.monotonic() - began_s)

    def _land(self, flying: _Flying, publishing: Channel[Job]) -> None:
        """Wait for a batch and hand on the events that are complete with it."""
        self._pulse.beat(max(0.0, flying.expected_s - time.monotonic()))
        scores = flying.flight.wait()
        now_s = time.monotonic()
        took_s = now_s - max(flying.began_s, self._free_s)
        self._free_s = now_s
        self._costs.observe(flying.load, took_s)
        self._count(flying, took_s)
        for number, ((job, start, stop), logits) in enumerate(zip(flying.batch, scores, strict=True)):
            assert job.logits is not None
            job.logits[start:stop] = logits
            if self._model.score_cache is not None and job.keys is not None:
                self._model.score_cache.remember(job.keys[start:stop], logits)
            job.unscored -= stop - start
            if error := flying.flight.failures.get(number):
                log.error("an event could not be scored: %s", error, extra=_where(job))
                job.fault = Fault("model", "score", type(error).__name__, str(error))
            if job.unscored == 0:
                self._hand_on(job, publishing)

    def _hand_on(self, job: Job, publishing: Channel[Job]) -> None:
        job.scored_s = time.monotonic()
        if job.dispatched_s:
            job.spent_s["score"] = job.scored_s - job.dispatched_s
        publishing.put(job)

    def _count(self, flying: _Flying, took_s: float) -> None:
        pairs = sum(stop - start for _, start, stop in flying.batch)
        metrics = self._metrics
        metrics.pairs.inc(pairs)
        metrics.tokens.labels("real").inc(flying.flight.tokens)
        metrics.tokens.labels("padding").inc(flying.flight.padding)
        metrics.batch_events.observe(len(flying.batch))
        metrics.batch_pairs.observe(pairs)
        metrics.batch_tokens.observe(flying.flight.tokens)
        metrics.batch_seconds.observe(took_s)
        metrics.device_busy.inc(took_s)


class Publish:
    """Ranks and publishes; results of one key leave in the order of their requests, and so may those of a partition."""

    IDLE_S = 0.5  # how long to wait for events before the pulse is beaten again

    def __init__(
        self, delivery: Delivery, options: KafkaOptions, model: CrossEncoder, metrics: Metrics, pulse: Pulse
    ) -> None:
        self._delivery = delivery
        self._options = options
        self._model = model
        self._metrics = metrics
        self._pulse = pulse
        self._order = Order()

    def run(self, inbox: Channel[Job]) -> None:
        """Publish until the inbox ends; every event that came ends through the delivery, some of them later."""
        ended = False
        while not ended:
            self._pulse.beat()
            patience_s = self._delivery.patience_s(time.monotonic())
            try:
                arrived = inbox.take(self.IDLE_S if patience_s is None else min(patience_s, self.IDLE_S))
            except EndOfChannelError:
                ended, arrived = True, []
            for each in arrived:
                for job in self._order.ready(each):
                    self._pulse.beat()
                    self._publish(job)
                self._delivery.tend(time.monotonic())
            self._delivery.tend(time.monotonic())
            self._count_caches()
        self._delivery.finish()

    def _count_caches(self) -> None:
        for name, cache in (("tokens", self._model.cache), ("scores", self._model.score_cache)):
            if cache is not None:
                self._metrics.count_cache(name, hits=cache.hits, misses=cache.misses)

    def _publish(self, job: Job) -> None:
        job.dropped = job.dropped or not job.ticket.live
        if job.dropped:
            self._delivery.drop(job)
        elif job.fault:
            self._send_dead_letter(job, job.fault)
        else:
            self._send_result(job)

    def _send_result(self, job: Job) -> None:
        now_s = time.monotonic()
        try:
            ranking = rank(job.candidate_logits(), self._model.activation, job.shed)
            timing_ms = {name: spent_s * 1000 for name, spent_s in job.spent_s.items()}
            timing_ms["total"] = (now_s - job.created_s) * 1000
            met = self._delivery.visible_s(now_s) <= job.deadline_s
            value = encode_result(job, ranking, model=self._model.name, timing_ms=timing_ms, deadline_met=met)
        except Exception as error:
            job.fault = _defect(job, "publish", error)
            self._send_dead_letter(job, job.fault)
            return
        job.outcome = (ranking.outcome, ranking.reason)
        self._metrics.displacement.observe(displacement(ranking))
        self._send(job, Outgoing(self._options.result_topic, job.record.key, value, job.record.headers))

    def _send_dead_letter(self, job: Job, fault: Fault) -> None:
        log.warning("dead letter: %s", fault.message, extra={**_where(job), "reason": fault.reason})
        letter = dead_letter(
            job,
            group_id=self._options.group_id,
            worker_version=__version__,
            model=self._model.name,
            now_s=time.time(),
            keep=job.keep,
        )
        self._send(job, Outgoing(self._options.dead_letter_topic, *letter))

    def _send(self, job: Job, outgoing: Outgoing) -> None:
        try:
            self._delivery.send(job, outgoing)
        except RecordTooLarge as error:
            self._send_smaller(job, error)

    def _send_smaller(self, job: Job, error: RecordTooLarge) -> None:
        """Send what may fit where the topic refused a record: a dead letter, then one without the original value.

        Raises StopError where nothing smaller is left.
        """
        if job.fault is None:
            job.fault = Fault("result_too_large", "publish", type(error).__name__, str(error))
        elif job.keep == "nothing":
            topic, (partition, offset) = self._options.dead_letter_topic, (job.record.partition, job.record.offset)
            raise StopError(
                Exit.DELIVERY,
                f"topic {topic} refuses even a dead letter that only says where the record came from, "
                f"{partition.topic} partition {partition.number} offset {offset}: {error}; raise its limit",
            ) from error
        else:
            job.keep = "key_and_headers" if job.keep == "all" else "nothing"
        self._send_dead_letter(job, job.fault)


def _defect(job: Job, stage: str, error: Exception) -> Fault:
    """Return the fault of an event that shows a defect of the worker: it must not stop all the others."""
    log.error("a defect of the worker; the event becomes a dead letter", exc_info=error, extra=_where(job))
    return Fault("defect", stage, type(error).__name__, str(error))


def _where(job: Job) -> dict[str, object]:
    record = job.record
    return {"topic": record.partition.topic, "partition": record.partition.number, "offset": record.offset}

"""The body of the scorer thread: it owns the scheduler and the device."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from worker.flow.channel import EndOfChannelError
from worker.flow.job import Fault, Job, Slice
from worker.stages.faults import where

if TYPE_CHECKING:
    from worker.flow.channel import Channel
    from worker.flow.stage_threads import Heartbeat
    from worker.model.cross_encoder import CrossEncoder, PendingScores
    from worker.observe.metrics import Metrics
    from worker.scheduling.cost_model import CostModel, Load
    from worker.scheduling.latency import LatencyWindow
    from worker.scheduling.scheduler import Scheduler

log = logging.getLogger(__name__)


class _Launched(NamedTuple):
    """A batch that was launched, when, what it takes the device at least and at most, and what that depends on."""

    batch: list[Slice]
    pending: PendingScores
    began_s: float
    least_s: float
    most_s: float
    load: Load


class Score:
    """Owns the scheduler and the device: batches what waits, scores it, hands on what is complete.

    Where the device has a queue of its own, the next batch is put together while one is on it, as late as possible: as
    soon as the device may be free within the time that the host needs to prepare it. What comes until then shares it.
    On the CPU it is put together when the first thread has nothing left to do of the batch before.
    `delays` are those of publishing: an event is due so much before its deadline.
    """

    IDLE_S = 0.5  # how long to wait for work before the next heartbeat
    SWEEP_S = 0.02  # how long what is to be given up may stay in the queue; looking for it costs time for each event
    PREPARE_S = 0.002  # what the host needs to put a batch together and launch it, until that was seen
    MOST_PREPARE_S = 0.02  # a launch that took longer waited for something
    FORGET = 0.1  # how fast a slow launch is forgotten: a busy host may need as long again
    DEVIATIONS = 2.0  # mean ones, from the mean to what the rest of a batch hardly ever takes (Jacobson, 1988)
    LOOK_S = 0.0005  # how late it may be seen that a batch is back: it would count as the device's time

    def __init__(  # noqa: PLR0913 - what it decides by, and what it decides about
        self,
        scheduler: Scheduler,
        costs: CostModel,
        model: CrossEncoder,
        metrics: Metrics,
        *,
        heartbeat: Heartbeat,
        delays: LatencyWindow,
    ) -> None:
        self._scheduler = scheduler
        self._costs = costs
        self._model = model
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._delays = delays
        self.is_warm = False  # any thread may look
        self._launched: deque[_Launched] = deque()
        self._sweep_due_s = 0.0
        self._free_s = 0.0  # when the device came back from its last batch
        self._prepare_s = self.PREPARE_S
        self._room_s = 0.0  # when the last batch left a part of the device free
        self._rest_s = self._rest_off_s = 0.0  # how long its rest lately took from then on, and how far off that was

    def run(self, inbox: Channel[Job], publishing: Channel[Job]) -> None:
        """Score until the inbox has ended and nothing waits or flies."""
        self._model.warm_thread()
        self.is_warm = True
        ended = False
        while not (ended and not self._scheduler and not self._launched):
            self._heartbeat.beat()
            try:
                arrived = inbox.take(self._patience_s(time.monotonic()))
            except EndOfChannelError:
                ended, arrived = True, []
            now_s = time.monotonic()
            for job in arrived:
                self._scheduler.add(job, self._delays.p97_s(now_s))
            self._sweep(publishing)
            while self._launched and self._launched[0].pending.is_done():
                self._land(self._launched.popleft(), publishing)
            if not ended and self._patience_s(time.monotonic()) > 0:
                continue  # the device is busy for longer than the next batch takes to prepare
            launched = self._launch(publishing)
            while len(self._launched) > (1 if launched else 0):
                self._land(self._launched.popleft(), publishing)
            if self._launched and not self._model.overlaps and not self._launched[0].pending.wait_for_room():
                self._land(self._launched.popleft(), publishing)
            self._room_s = time.monotonic()

    def _sweep(self, publishing: Channel[Job]) -> None:
        """Put aside, now and then, what waits of partitions that are being given up."""
        now_s = time.monotonic()
        if now_s >= self._sweep_due_s:
            self._sweep_due_s = now_s + self.SWEEP_S
            for job in self._scheduler.sweep():
                job.drop()
                publishing.put(job)

    def _patience_s(self, now_s: float) -> float:
        """Return how long the next batch may wait for more events, before it is to be looked at again."""
        if self._launched:
            last = self._launched[-1]
            if not self._model.overlaps:  # a part of the device has nothing to do
                return 0.0
            return min(self.LOOK_S, max(0.0, self._started_s(last) + last.least_s - self._prepare_s - now_s))
        return 0.0 if self._scheduler else self.IDLE_S

    def _started_s(self, launched: _Launched) -> float:
        """Return when the device began with a batch, before which none is on it any more."""
        return max(launched.began_s, self._free_s)

    def _launch(self, publishing: Channel[Job]) -> bool:
        """Launch the next batch, and hand on what will not be scored; return whether there was one."""
        now_s = time.monotonic()
        last = self._launched[-1] if self._launched else None
        free_s = self._free_at_s(last, now_s) if last else now_s
        is_alone = len(self._scheduler) == 1 and not self._launched
        dispatch = self._scheduler.next_batch(free_s)
        for job in dispatch.passed:
            if is_alone:
                self._warn_of_idle(job)
            if job.timeline.dispatched_s:  # a part of it was scored
                self._metrics.events.slack.observe(job.deadline_s - job.timeline.dispatched_s)
            if job.scoring.unscored == 0:  # else a part of it is still on the device
                self._hand_on(job, publishing)
        if dispatch.probe is not None and not self._launched:
            self._measure(dispatch.probe, dispatch.load)
        if not dispatch.batch:
            return False
        predicted_s = self._costs.predict(dispatch.load)
        self._metrics.batches.dispatches.labels(dispatch.reason).inc()
        self._metrics.batches.predicted_seconds.observe(predicted_s)
        for job, start, stop in dispatch.batch:
            if start == 0:
                job.timeline.dispatched_s = now_s
                job.timeline.spent_s["schedule"] = now_s - job.timeline.tokenized_s
            if stop == job.scoring.limit:
                self._metrics.events.slack.observe(job.deadline_s - now_s)
        self._heartbeat.beat(predicted_s)
        pending = self._model.launch(dispatch.batch)
        least_s = (
            self._costs.expect(dispatch.load) / self._costs.spread
        )  # as far below what is usual as most_s is above
        self._launched.append(_Launched(dispatch.batch, pending, now_s, least_s, predicted_s, dispatch.load))
        took_s = min(time.monotonic() - now_s, self.MOST_PREPARE_S)
        self._prepare_s = max(took_s, self._prepare_s + self.FORGET * (took_s - self._prepare_s))
        return True

    def _free_at_s(self, last: _Launched, now_s: float) -> float:
        """Return when the device will have come to the end of a batch, by all likelihood."""
        if self._model.overlaps:
            return max(now_s, self._started_s(last) + last.most_s)
        return now_s + self._rest_s + self.DEVIATIONS * self._rest_off_s

    def _warn_of_idle(self, job: Job) -> None:
        """Say that an event was not scored as a whole although nothing else waited for the device."""
        self._metrics.events.degraded_idle.inc()
        log.warning(
            "a list was not scored as a whole although nothing else waited for the device: its budget is too small for "
            "it, or it came late",
            extra={"event": "degraded_while_idle", **where(job)},
        )

    def _measure(self, probe: Slice, load: Load) -> None:
        """Score pairs of an event that was handed on for the time that they take; their logits go nowhere."""
        began_s = time.monotonic()
        self._model.launch([probe]).wait()
        now_s = time.monotonic()
        self._costs.observe(load, now_s - began_s, now_s)

    def _land(self, launched: _Launched, publishing: Channel[Job]) -> None:
        """Wait for a batch and hand on the events that are complete with it."""
        started_s = self._started_s(launched)
        self._heartbeat.beat(max(0.0, started_s + launched.most_s - time.monotonic()))
        scores = launched.pending.wait()
        now_s = time.monotonic()
        took_s = now_s - started_s
        self._free_s = now_s
        if self._launched and not self._model.overlaps:
            off_s = now_s - self._room_s - self._rest_s
            self._rest_s += self.FORGET * off_s
            self._rest_off_s += self.FORGET * (abs(off_s) - self._rest_off_s)
        self._costs.observe(launched.load, took_s, now_s)
        pairs = sum(stop - start for _, start, stop in launched.batch)
        self._count(launched, pairs, took_s)
        for number, ((job, start, stop), logits) in enumerate(zip(launched.batch, scores, strict=True)):
            assert job.scoring.logits is not None
            job.scoring.logits[start:stop] = logits
            if self._model.score_cache is not None and job.scoring.keys is not None:
                self._model.score_cache.remember(job.scoring.keys[start:stop], logits)
            job.scoring.unscored -= stop - start
            job.timeline.device_s += took_s * (stop - start) / pairs
            if error := launched.pending.failures.get(number):
                log.error(
                    "an event could not be scored: %(error)s",
                    {"error": error},
                    extra={"event": "not_scored", **where(job)},
                )
                job.fault = Fault("model", "score", type(error).__name__, str(error))
            if job.scoring.unscored == 0:
                self._hand_on(job, publishing)

    def _hand_on(self, job: Job, publishing: Channel[Job]) -> None:
        job.timeline.scored_s = time.monotonic()
        if job.timeline.dispatched_s:
            job.timeline.spent_s["score"] = job.timeline.scored_s - job.timeline.dispatched_s
        publishing.put(job)

    def _count(self, launched: _Launched, pairs: int, took_s: float) -> None:
        metrics = self._metrics
        metrics.events.pairs.inc(pairs)
        metrics.events.tokens.labels("real").inc(launched.pending.tokens)
        metrics.events.tokens.labels("padding").inc(launched.pending.padding)
        metrics.batches.events.observe(len(launched.batch))
        metrics.batches.pairs.observe(pairs)
        metrics.batches.tokens.observe(launched.pending.tokens)
        metrics.batches.seconds.observe(took_s)
        metrics.batches.device_busy.inc(took_s if launched.pending.device_s is None else launched.pending.device_s)

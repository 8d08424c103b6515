"""The body of the publisher thread: it ranks, and hands outcomes to the delivery in their order."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from worker import __version__
from worker.channel import EndOfChannelError
from worker.dead_letters import dead_letter
from worker.delivery import Outgoing
from worker.events import encode_result
from worker.exits import ENDS, Exit, StopError
from worker.jobs import Fault, Job
from worker.kafka_io import KafkaOptions, KeyWanted, RecordTooLarge
from worker.metrics import PLACES
from worker.ordering import Order
from worker.ranking import displacement, rank
from worker.stages.faults import defect, where

if TYPE_CHECKING:
    from worker.channel import Channel
    from worker.delivery import Delivery
    from worker.metrics import Metrics
    from worker.model.cross_encoder import CrossEncoder
    from worker.pipeline import Pulse
    from worker.ranking import Ranking
    from worker.traces.traces import Traces

log = logging.getLogger(__name__)


class Publish:
    """Ranks and publishes; results of one key leave in the order of their requests, and so may those of a partition."""

    IDLE_S = 0.5  # how long to wait for events before the pulse is beaten again

    def __init__(  # noqa: PLR0913 - what it publishes through, and what it shows of it
        self,
        delivery: Delivery,
        options: KafkaOptions,
        model: CrossEncoder,
        metrics: Metrics,
        pulse: Pulse,
        *,
        traces: Traces | None = None,
    ) -> None:
        self._delivery = delivery
        self._options = options
        self._model = model
        self._metrics = metrics
        self._logits = {place: metrics.model.logits.labels(place) for place in PLACES}
        self._pulse = pulse
        self._traces = traces
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
                self._metrics.batches.count_cache(name, hits=cache.hits, misses=cache.misses)

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
        except ENDS:
            raise
        except BaseException as error:
            job.fault = defect(job, "publish", error)
            self._send_dead_letter(job, job.fault)
            return
        job.outcome = (ranking.outcome, ranking.reason)
        self._watch_drift(ranking)
        topic = self._options.result_topic
        key = job.record.key
        if key is None and self._options.key_for_keyless is not None:
            key = self._made_key(job)
        if key is None and topic in self._delivery.keyed:
            job.fault = Fault("no_key", "publish", KeyWanted.__name__, str(KeyWanted(topic)))
            self._send_dead_letter(job, job.fault)
            return
        self._send(job, Outgoing(topic, key, value, job.record.headers))

    def _made_key(self, job: Job) -> bytes:
        """Return the key for what has none."""
        if job.request is not None:
            return job.request.request_id.encode()
        partition, offset = job.record.partition, job.record.offset
        return f"{partition.topic}/{partition.number}/{offset}".encode()

    def _watch_drift(self, ranking: Ranking) -> None:
        if ranking.outcome != "reranked":
            return  # which candidates were scored depends on the load
        self._metrics.model.displacement.observe(displacement(ranking))
        order = ranking.order
        for place, number in zip(PLACES, (order[0], order[len(order) // 2], order[-1]), strict=True):
            self._logits[place].observe(float(ranking.logits[number]))

    def _send_dead_letter(self, job: Job, fault: Fault) -> None:
        fields = {**where(job), "reason": fault.reason, "stage": fault.stage}
        log.warning("dead letter: %(error)s", {"error": fault.message}, extra={"event": "dead_letter", **fields})
        needs_key = self._options.key_for_keyless is not None or self._options.dead_letter_topic in self._delivery.keyed
        letter = dead_letter(
            job,
            group_id=self._options.group_id,
            worker_version=__version__,
            model=self._model.name,
            now_s=time.time(),
            keep=job.keep,
            given_key=self._made_key(job) if needs_key else None,
        )
        self._send(job, Outgoing(self._options.dead_letter_topic, *letter))

    def _send(self, job: Job, outgoing: Outgoing) -> None:
        if self._traces is not None:
            outgoing = self._traces.begin(job, outgoing)
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

"""The line that an event goes through: three stages and the main loop, joined by channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.admission.dead_letter_guard import DeadLetterGuard
from worker.admission.in_flight import InFlight
from worker.admission.in_flight_limit import InFlightLimit
from worker.admission.key_order import PrecedenceLinks
from worker.events.codec import Decoder
from worker.flow.channel import Channel
from worker.flow.stage_threads import Stage, StageThreads
from worker.main_loop.loop import MainLoop
from worker.offsets.tracker import OffsetTracker
from worker.scheduling.limits import token_budget
from worker.scheduling.scheduler import Scheduler
from worker.stages import Publish, Score, Tokenize

if TYPE_CHECKING:
    from worker.app.stall_checks import Heartbeats
    from worker.config.settings import Settings
    from worker.delivery import Delivery, Ending
    from worker.flow.job import Job
    from worker.kafka_io import Consumer
    from worker.model.cross_encoder import CrossEncoder
    from worker.observe.metrics import Metrics
    from worker.scheduling.cost_model import CostModel
    from worker.traces.traces import Traces


class Pipeline:
    """Everything between a consumer and a delivery, whose events end in `endings`."""

    JOIN_S = 2.0  # how long a stage may take to end once there is nothing more for it, at the end of the process
    CLOSE_S = 30.0  # how long all may take to be closed, by the limits that each has of its own

    def __init__(  # noqa: PLR0913 - everything meets here
        self,
        settings: Settings,
        model: CrossEncoder,
        costs: CostModel,
        consumer: Consumer,
        delivery: Delivery,
        *,
        endings: Channel[Ending],
        metrics: Metrics,
        heartbeats: Heartbeats,
        traces: Traces | None,
    ) -> None:
        self._consumer = consumer
        self._delivery = delivery
        self._heartbeats = heartbeats
        self._inbox: Channel[Job] = Channel()
        self._scheduler = scheduler = Scheduler(
            settings.batch, token_budget(settings.batch, model.device), costs, model.load_of
        )
        self._score = Score(scheduler, costs, model, metrics, heartbeat=heartbeats.scorer, delays=delivery.delays)
        publish = Publish(delivery, settings.kafka, model, metrics, heartbeats.publisher, traces=traces)
        self._stage_threads = StageThreads(self._stages(settings, model, publish))
        self.loop = MainLoop(
            consumer=consumer,
            in_flight=_in_flight(settings),
            stage_threads=self._stage_threads,
            inbox=self._inbox,
            endings=endings,
            metrics=metrics,
            heartbeat=heartbeats.loop,
            options=settings.loop,
            read_interval_s=lambda: scheduler.read_interval_s,
        )

    def start(self) -> None:
        """Start the stages; the main loop runs on its caller's thread."""
        self._stage_threads.start()

    def commit_age_s(self) -> float:
        """Return for how long something has been tried to be committed without success; 0 while nothing is."""
        return max(self.loop.commit_age_s(), self._delivery.commit_age_s())

    def outcome_age_s(self) -> float:
        """Return the age of the oldest outcome that was sent and not acknowledged; 0 while there is none."""
        return self._delivery.outcome_age_s()

    def missing(self) -> str | None:
        """Return what keeps a worker with a loaded model from being ready. Any thread may ask."""
        if not self._score.is_warm:
            return "the scorer is warming up"
        if self.loop.stopping:
            return "the worker is stopping"
        return None if self._consumer.joined else "the worker is no member of the consumer group"

    def close(self) -> None:
        """Let the stages end, whatever the main loop has ended with."""
        self._heartbeats.loop.beat(self.CLOSE_S)
        self._inbox.close()
        self._stage_threads.join(self.JOIN_S)

    def _stages(self, settings: Settings, model: CrossEncoder, publish: Publish) -> list[Stage]:
        scoring: Channel[Job] = Channel()
        publishing: Channel[Job] = Channel()

        def tokenize() -> None:
            decoder = Decoder(settings.events, model.product_fields)
            budget_ms = settings.events.default_budget_ms
            stage = Tokenize(
                decoder,
                model.pair_encoder(),
                budget_ms,
                settings.batch,
                model.score_cache,
                expected_share=lambda: self._scheduler.expected_share,
            )
            stage.run(self._inbox, scoring, publishing)

        return [
            Stage("tokenize", tokenize, (scoring,), settings.stages.tokenizer_threads),
            Stage(
                "score", lambda: self._score.run(scoring, publishing), (publishing,), heartbeat=self._heartbeats.scorer
            ),
            Stage("publish", lambda: publish.run(publishing), heartbeat=self._heartbeats.publisher),
        ]


def _in_flight(settings: Settings) -> InFlight:
    order = PrecedenceLinks(settings.delivery.ordering_key)
    return InFlight(
        OffsetTracker(), InFlightLimit(settings.in_flight_limit), DeadLetterGuard(settings.dead_letters), order
    )

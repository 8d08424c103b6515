"""Counts the events that have ended: how, whether in time, and where their time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from worker.observe.metrics import STAGES

if TYPE_CHECKING:
    from worker.flow.job import Job
    from worker.observe.metrics import Metrics


class EventCounter:
    """Fills the metrics of events; for the main loop's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._stage_durations = {stage: metrics.events.stage_duration.labels(stage) for stage in STAGES}

    def count(self, job: Job, at_s: float) -> None:
        """Count an event that has ended then."""
        metrics, timeline = self._metrics, job.timeline
        if job.dropped:
            metrics.events.dropped.inc()
            return
        if job.fault is not None:
            metrics.events.dead_letters.labels(job.fault.reason).inc()
        elif job.outcome is not None:
            metrics.events.published.labels(*job.outcome).inc()
            metrics.events.deadlines.labels("true" if at_s <= job.deadline_s else "false").inc()
            self._count_candidates(job)
            timeline.spent_s["publish"] = at_s - (
                timeline.scored_s or timeline.tokenized_s
            )  # not all need to be scored
        metrics.events.latency.observe(at_s - job.created_s)
        for stage, spent_s in timeline.spent_s.items():
            self._stage_durations[stage].observe(spent_s)

    def _count_candidates(self, job: Job) -> None:
        """Count the candidates of a published list, and those of them that were scored."""
        logits = job.candidate_logits()
        self._metrics.events.candidates_received.inc(len(logits))
        self._metrics.events.candidates_scored.inc(int(np.count_nonzero(~np.isnan(logits))))

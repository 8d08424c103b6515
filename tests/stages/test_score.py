"""What the scorer does with what goes wrong: faults that a real model cannot be made to show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import making
from worker.dead_letters import REASONS
from worker.flow.channel import Channel
from worker.model.score_cache import ScoreCache
from worker.observe.metrics import Metrics
from worker.offsets.tracker import OffsetTracker
from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.latency import LatencyWindow
from worker.scheduling.limits import BatchLimits
from worker.scheduling.scheduler import Scheduler
from worker.stages import Score

if TYPE_CHECKING:
    from worker.flow.job import Job, Slice

from tests.stages.line import Beats, Model, PendingScores, an_event, raw, score, tokenize


def test_one_event_that_cannot_be_scored_does_not_spoil_those_that_share_its_batch() -> None:
    jobs = [making.job(1, 1, offset=offset) for offset in range(3)]
    assert score(Model(failing_slice=1), *jobs) == jobs
    assert [job.fault and job.fault.reason for job in jobs] == [None, "model", None]
    assert jobs[0].scoring.logits is not None
    assert not np.isnan(jobs[0].scoring.logits).any()


def test_an_event_in_several_batches_is_handed_on_once_when_it_is_complete() -> None:
    job = making.job(*[10] * 7)
    assert score(Model(), job, batch_tokens=20) == [job]
    assert job.scoring.unscored == 0
    assert job.scoring.logits is not None
    assert job.scoring.logits.tolist() == [1.0] * 7


def test_an_event_whose_scores_are_all_remembered_goes_past_the_scorer() -> None:
    model = Model()
    model.score_cache = ScoreCache(1 << 20, model.name)
    [new], [] = tokenize(raw(an_event()), score_cache=model.score_cache)
    assert score(model, new) == [new]
    again = raw(an_event(), 1)
    assert tokenize(again, score_cache=model.score_cache) == ([], [again])
    assert again.candidate_logits().tolist() == new.candidate_logits().tolist() == [1.0]
    assert again.fault is None


def test_events_of_a_partition_that_is_given_up_are_not_scored() -> None:
    tracker = OffsetTracker()
    tracker.assign([making.PARTITION])
    stale = making.job(1, tracker=tracker)
    tracker.start_revoking([making.PARTITION])
    assert score(Model(), stale) == [stale]
    assert stale.dropped
    assert stale.scoring.unscored == 1


@pytest.mark.parametrize("overlaps", [False, True])
def test_an_event_whose_time_is_over_goes_on_as_it_came(*, overlaps: bool) -> None:
    model = Model()
    model.overlaps = overlaps
    late, fine = making.job(1, 1, deadline_s=0.0), making.job(1, deadline_s=math.inf, offset=1)
    assert score(model, late, fine, on_overload="partial") == [late, fine]
    assert (late.scoring.limit, late.scoring.shed, late.scoring.unscored) == (0, "no_time", 0)
    assert late.scoring.logits is not None
    assert np.isnan(late.scoring.logits).all()
    assert (fine.scoring.limit, fine.scoring.shed) == (1, None)


def test_the_next_batch_is_launched_before_the_one_on_the_device_is_waited_for() -> None:
    happened: list[str] = []

    class Watched(PendingScores):
        def wait(self) -> list[np.ndarray]:
            happened.append("wait")
            return super().wait()

    class Overlapping(Model):
        overlaps = True

        def launch(self, batch: list[Slice]) -> PendingScores:
            happened.append("launch")
            return Watched(batch, {})

    jobs = [making.job(10, offset=offset) for offset in range(3)]
    assert score(Overlapping(), *jobs, batch_tokens=10) == jobs
    assert happened == ["launch", "launch", "wait", "launch", "wait", "wait"]


def test_on_the_cpu_a_batch_begins_as_soon_as_a_thread_has_none() -> None:
    happened: list[str] = []

    class SideBySide(PendingScores):
        def wait_for_room(self) -> bool:
            happened.append("room")
            return True

        def wait(self) -> list[np.ndarray]:
            happened.append("wait")
            return super().wait()

    class OnCpu(Model):
        def launch(self, batch: list[Slice]) -> PendingScores:
            happened.append("launch")
            return SideBySide(batch, {})

    jobs = [making.job(10, offset=offset) for offset in range(3)]
    assert score(OnCpu(), *jobs, batch_tokens=10) == jobs
    assert happened == ["launch", "room", "launch", "wait", "room", "launch", "wait", "room", "wait"]


def test_a_device_with_a_clock_says_itself_how_long_it_was_busy() -> None:
    class Clocked(Model):
        def launch(self, batch: list[Slice]) -> PendingScores:
            pending = super().launch(batch)
            pending.device_s = 100.0
            return pending

    for model, least, most in ((Clocked(), 200.0, 200.0), (Model(), 0.0, 100.0)):
        metrics = Metrics(REASONS)
        score(model, making.job(10), making.job(10, offset=1), batch_tokens=10, metrics=metrics)
        busy_s = metrics.registry.get_sample_value("rerank_device_busy_seconds_total")
        assert busy_s is not None
        assert least <= busy_s <= most


def test_the_scorer_allows_for_what_a_batch_is_predicted_to_take() -> None:
    scoring: Channel[Job] = Channel()
    publishing: Channel[Job] = Channel()
    scoring.put(making.job(10))
    scoring.close()
    model: Any = Model()
    costs = CostModel(CostOptions(), [(Load(10, 100), 500.0)])
    heartbeat = Beats()
    scheduler = Scheduler(BatchLimits(on_overload="score"), 100, costs)
    Score(scheduler, costs, model, Metrics(REASONS), heartbeat=heartbeat, delays=LatencyWindow()).run(
        scoring, publishing
    )
    launching_s, waiting_s = (allowed_s for allowed_s in heartbeat.allowed_s if allowed_s)
    assert launching_s >= waiting_s > 400

"""How events that have ended are counted."""

from __future__ import annotations

import pytest

from tests.looping import bench
from tests.making import PARTITION, record
from worker.delivery import Ending
from worker.jobs import Fault


def test_latency_and_deadline_are_those_of_the_acknowledgement_not_of_the_turn_that_sees_it() -> None:
    line = bench()
    met, missed = line.take(record(0), record(1))
    for job, late_s in ((met, -0.25), (missed, 0.25)):
        job.created_s -= 100.0  # the deadlines of both are long over when the loop sees the endings
        job.scored_s = job.created_s + 1.0
        job.deadline_s = job.created_s + 2.0
        job.outcome = ("reranked", "complete")
        line.endings.put(Ending(job, job.deadline_s + late_s))
    line.turn()
    assert line.metric("deadlines_total", met="true") == 1
    assert line.metric("deadlines_total", met="false") == 1
    assert line.metric("events_total", outcome="reranked", reason="complete") == 2
    assert line.metric("event_latency_seconds_sum") == pytest.approx(1.75 + 2.25)
    assert line.metric("stage_duration_seconds_sum", stage="publish") == pytest.approx(0.75 + 1.25)


def test_publishing_an_event_that_was_not_scored_begins_when_the_tokenizer_is_through_with_it() -> None:
    line = bench()
    (job,) = line.take(record(0))
    job.outcome, job.tokenized_s = ("passthrough", "no_time"), 5.0
    line.endings.put(Ending(job, 7.0))
    line.turn()
    assert line.metric("stage_duration_seconds_sum", stage="publish") == 2.0


def test_a_dead_letter_is_counted_by_its_reason_and_has_no_deadline() -> None:
    line = bench()
    (job,) = line.take(record(0))
    job.fault = Fault("not_json", "decode", "InvalidEvent", "expected JSON")
    line.end(job)
    line.turn()
    assert line.metric("dead_letters_total", reason="not_json") == 1
    assert line.metric("event_latency_seconds_count") == 1
    assert line.metric("deadlines_total", met="true") == line.metric("deadlines_total", met="false") == 0
    assert line.consumer.commits == [{PARTITION: 1}]

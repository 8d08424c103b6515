"""How events that have ended are counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.looping import bench
from tests.support.making import PARTITION, pairs, record, request
from worker.delivery import Ending
from worker.flow.job import Fault


def test_latency_and_deadline_are_those_of_the_acknowledgement_not_of_the_turn_that_sees_it() -> None:
    line = bench()
    met, missed = line.take(record(0), record(1))
    for job, late_s in ((met, -0.25), (missed, 0.25)):
        job.created_s -= 100.0  # the deadlines of both are long over when the loop sees the endings
        job.timeline.scored_s = job.created_s + 1.0
        job.deadline_s = job.created_s + 2.0
        job.request, job.outcome = request(1), ("reranked", "complete")
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
    job.request, job.outcome, job.timeline.tokenized_s = request(1), ("passthrough", "no_time"), 5.0
    line.endings.put(Ending(job, 7.0))
    line.turn()
    assert line.metric("stage_duration_seconds_sum", stage="publish") == 2.0


def test_candidates_are_counted_when_their_list_is_published_and_as_scored_if_they_have_a_logit_there() -> None:
    line = bench()
    whole, part, unread = line.take(record(0), record(1), record(2))
    for job in (whole, part):
        job.request = request(4)
        job.scoring.expect(pairs(5, 5, 5))
        assert job.scoring.pairs is not None
        assert job.scoring.logits is not None
        # The second candidate has the text of the first, the fourth one was remembered.
        job.scoring.pairs = dataclasses.replace(job.scoring.pairs, places=np.array([0, 0, 1, -1]))
        job.scoring.known = np.array([np.nan, np.nan, np.nan, 0.5], dtype=np.float32)
        job.scoring.logits[0] = 1.5
    assert whole.scoring.logits is not None
    whole.scoring.logits[1] = -0.5
    whole.outcome, part.outcome = ("reranked", "complete"), ("partial", "no_time")
    unread.request, unread.outcome = request(10), ("passthrough", "no_time")  # too late to be tokenized
    line.end(whole, part, unread)
    line.turn()
    assert line.metric("candidates_received_total") == 4 + 4 + 10
    assert line.metric("candidates_scored_total") == 4 + 3 + 0


def test_candidates_of_a_dead_letter_or_of_an_event_that_is_read_again_are_not_counted() -> None:
    line = bench()
    dropped, refused = line.take(record(0), record(1))
    for job in (dropped, refused):
        job.request, job.outcome = request(4), ("reranked", "complete")
    dropped.dropped = True
    refused.fault = Fault("result_too_large", "publish", "RecordTooLarge", "the topic takes 100 bytes")
    line.end(dropped, refused)
    line.turn()
    assert line.metric("candidates_received_total") == line.metric("candidates_scored_total") == 0


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

"""The main loop where partitions go and where the worker stops: what is finished, what is left to the next owner."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from tests.looping import NEVER_S, Bench, bench
from tests.making import PARTITION, record
from worker.delivery import Ending
from worker.jobs import Job, Partition
from worker.ordering import by_partition
from worker.pipeline import StageDiedError

AT_ONCE_S = 1e-9


def _end(line: Bench, *jobs: Job) -> None:
    for job in jobs:
        line.endings.put(Ending(job, time.monotonic()))


def _settled(line: Bench, job: Job) -> None:
    _end(line, job)
    line.turn()


def test_a_revocation_drops_what_is_queued_and_releases_the_prefix_of_what_is_done() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            if job.record.offset > 0:
                assert line.ledger.retiring.wait(60)
            job.dropped = not job.ticket.wanted
            line.endings.put(Ending(job, time.monotonic()))

    line = bench(body, commit_interval_s=NEVER_S)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.turn()
    line.consumer.records = [record(0), record(1), record(2)]
    line.turn()
    while line.ledger.open_count([PARTITION]) > 2:
        line.turn()
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.released == [{PARTITION: 1}]
    assert line.metric("dropped_total") == 2
    assert line.metric("event_latency_seconds_count") == 1
    assert line.door.in_flight_tokens == 0
    assert line.ledger.partitions == frozenset()
    assert line.metric("partitions_assigned") == 0
    line.inbox.close()
    assert line.pipeline.join(10)


def test_what_is_in_hand_is_waited_for_before_its_partition_is_given_away() -> None:
    def body(line: Bench) -> None:
        jobs = [job for _, job in zip(range(2), line.inbox, strict=False)]
        assert line.ledger.retiring.wait(60)  # their scores come only now
        _end(line, *jobs)
        list(line.inbox)

    line = bench(body)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.consumer.records = [record(0), record(1)]
    line.turn()
    line.consumer.tell("revoked")
    line.consumer.records = [record(2)]  # came with the poll in which the partition went
    line.turn()
    assert line.consumer.released == [{PARTITION: 2}]
    assert line.consumer.commits == []
    assert len(line.inbox) == 0
    line.inbox.close()
    assert line.pipeline.join(10)


def test_a_partition_that_stays_is_not_touched_by_a_revocation() -> None:
    line = bench()
    other = Partition("requests", 1)
    line.consumer.tell("assigned", other)
    (job,) = line.take(record(0))
    line.consumer.tell("revoked", other)
    line.turn()
    assert line.consumer.released == []  # there was nothing to release
    assert job.ticket.wanted
    _settled(line, job)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_hand_over_that_takes_too_long_releases_what_is_done_and_nothing_is_committed_later() -> None:
    line = bench(commit_interval_s=NEVER_S, hand_over_timeout_s=AT_ONCE_S)
    first, second = line.take(record(0), record(1))
    _settled(line, first)
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.released == [{PARTITION: 1}]
    assert not second.ticket.live
    line.loop._commit_due_s = 0.0
    _settled(line, second)
    assert line.consumer.commits == []
    assert line.door.in_flight_tokens == 0


def test_nothing_of_a_lost_partition_is_committed_although_its_endings_come() -> None:
    line = bench(commit_interval_s=NEVER_S)
    first, second = line.take(record(0), record(1))
    _settled(line, first)
    line.consumer.tell("lost")
    line.turn()
    line.loop._commit_due_s = 0.0
    _settled(line, second)
    assert line.consumer.commits == line.consumer.released == []
    assert line.door.in_flight_tokens == 0
    assert line.metric("rebalances_total", kind="lost") == 1


def test_endings_of_an_earlier_stay_do_not_count_for_a_partition_that_came_back() -> None:
    line = bench()
    (before,) = line.take(record(0))
    line.consumer.tell("lost")
    line.consumer.tell("assigned")
    (again,) = line.take(record(0))
    _settled(line, before)
    assert line.consumer.commits == []
    _settled(line, again)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_stage_that_dies_during_a_hand_over_is_raised() -> None:
    def body(line: Bench) -> None:
        assert line.ledger.retiring.wait(60)
        raise ZeroDivisionError("by nothing")

    line = bench(body)
    line.take(record(0))
    line.pipeline.start()
    line.consumer.tell("revoked")
    with pytest.raises(StageDiedError, match="ZeroDivisionError"):
        line.turn()
    assert line.consumer.released == []


def test_a_stop_finishes_what_is_in_hand_commits_it_and_takes_no_more() -> None:
    def body(line: Bench) -> None:
        _end(line, *list(line.inbox))  # all at its end: nothing ends before the stop

    line = bench(body)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.consumer.records = [record(0), record(1)]
    line.turn()
    line.consumer.records = [record(2)]
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 2}]
    assert line.consumer.paused
    assert line.consumer.records == [record(2)]
    assert line.pipeline.join(10)


def test_the_loop_goes_round_until_it_is_asked_to_stop() -> None:
    line = bench()
    line.consumer.tell("assigned")
    line.consumer.records = [record(0)]
    asked = threading.Event()

    def is_stopping() -> bool:
        if line.inbox:
            _end(line, *line.inbox.take(0))
        if line.consumer.commits:
            asked.set()
        return asked.is_set()

    line.loop.run(is_stopping)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_stop_whose_time_is_over_returns_and_commits_the_prefix_alone(caplog: pytest.LogCaptureFixture) -> None:
    line = bench(commit_interval_s=NEVER_S, drain_timeout_s=AT_ONCE_S)
    first, _, third = line.take(record(0), record(1), record(2))
    _end(line, third)
    _settled(line, first)
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]
    assert [each.__dict__["left"] for each in caplog.records if "drain time is over" in each.message] == [1]


def test_the_last_commit_of_a_stop_is_tried_again_while_the_group_refuses_it() -> None:
    line = bench(commit_interval_s=NEVER_S)
    (job,) = line.take(record(0))
    _settled(line, job)
    line.consumer.refusals = 2
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]
    assert line.metric("commits_total", result="refused") == 2


def test_a_revocation_during_a_stop_releases_what_is_done() -> None:
    line = bench(commit_interval_s=NEVER_S)
    first, second = line.take(record(0), record(1))
    _settled(line, first)
    _end(line, second)
    line.consumer.tell("revoked")
    line.loop.run(lambda: True)
    assert line.consumer.released == [{PARTITION: 2}]
    assert line.consumer.commits == []


def test_what_a_poll_brought_before_its_partition_was_rewound_is_not_taken() -> None:
    line = bench(line_of=by_partition)
    other = Partition("requests", 1)
    line.consumer.tell("assigned", other)
    (job,) = line.take(record(4))
    job.dropped = True
    _end(line, job)
    line.consumer.records = [record(5), record(6)]
    line.consumer.tell("revoked", other)  # its hand-over settles endings, with the records already in hand
    ticket = line.ledger.open(other, 0)
    assert ticket
    line.loop._options = dataclasses.replace(line.loop._options, hand_over_timeout_s=0.05)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]
    assert line.inbox.take(0) == []
    assert [job.record.offset for job in line.take(record(4))] == [4]

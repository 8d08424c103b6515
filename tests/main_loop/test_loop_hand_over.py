"""The main loop where partitions go: what is finished first, and what is left to the next owner."""

from __future__ import annotations

import pytest

from tests.support.looping import AT_ONCE_S, NEVER_S, Bench, bench
from tests.support.making import PARTITION, record
from worker.admission.key_order import by_partition
from worker.flow.stage_threads import StageDiedError
from worker.records import Partition


def test_a_revocation_drops_what_is_queued_and_releases_the_prefix_of_what_is_done() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            if job.record.offset > 0:
                assert line.tracker.retiring.wait(60)
            job.dropped = not job.tracked.wanted
            line.end(job)

    line = bench(body, commit_interval_s=NEVER_S)
    line.stage_threads.start()
    line.consumer.tell("assigned")
    line.turn()
    line.consumer.records = [record(0), record(1), record(2)]
    line.turn()
    while line.tracker.open_count([PARTITION]) > 2:
        line.turn()
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.released == [{PARTITION: 1}]
    assert line.metric("dropped_total") == 2
    assert line.metric("event_latency_seconds_count") == 1
    assert line.limit.in_flight_tokens == 0
    assert line.tracker.partitions == frozenset()
    assert line.metric("partitions_assigned") == 0
    line.inbox.close()
    assert line.stage_threads.join(10)


def test_what_is_in_hand_is_waited_for_before_its_partition_is_given_away() -> None:
    def body(line: Bench) -> None:
        jobs = [job for _, job in zip(range(2), line.inbox, strict=False)]
        assert line.tracker.retiring.wait(60)  # their scores come only now
        line.end(*jobs)
        list(line.inbox)

    line = bench(body)
    line.stage_threads.start()
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
    assert line.stage_threads.join(10)


def test_a_partition_that_stays_is_not_touched_by_a_revocation() -> None:
    line = bench()
    other = Partition("requests", 1)
    line.consumer.tell("assigned", other)
    (job,) = line.take(record(0))
    line.consumer.tell("revoked", other)
    line.turn()
    assert line.consumer.released == []  # there was nothing to release
    assert job.tracked.wanted
    line.settle(job)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_hand_over_that_takes_too_long_releases_what_is_done_and_nothing_is_committed_later() -> None:
    line = bench(commit_interval_s=NEVER_S, hand_over_timeout_s=AT_ONCE_S)
    first, second = line.take(record(0), record(1))
    line.settle(first)
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.released == [{PARTITION: 1}]
    assert not second.tracked.live
    line.make_commit_due()
    line.settle(second)
    assert line.consumer.commits == []
    assert line.limit.in_flight_tokens == 0


def test_nothing_of_a_lost_partition_is_committed_although_its_endings_come() -> None:
    line = bench(commit_interval_s=NEVER_S)
    first, second = line.take(record(0), record(1))
    line.settle(first)
    line.consumer.tell("lost")
    line.turn()
    line.make_commit_due()
    line.settle(second)
    assert line.consumer.commits == line.consumer.released == []
    assert line.limit.in_flight_tokens == 0
    assert line.metric("rebalances_total", kind="lost") == 1


def test_endings_of_an_earlier_stay_do_not_count_for_a_partition_that_came_back() -> None:
    line = bench()
    (before,) = line.take(record(0))
    line.consumer.tell("lost")
    line.consumer.tell("assigned")
    (again,) = line.take(record(0))
    line.settle(before)
    assert line.consumer.commits == []
    line.settle(again)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_stage_that_dies_during_a_hand_over_is_raised() -> None:
    def body(line: Bench) -> None:
        assert line.tracker.retiring.wait(60)
        raise ZeroDivisionError("by nothing")

    line = bench(body)
    line.take(record(0))
    line.stage_threads.start()
    line.consumer.tell("revoked")
    with pytest.raises(StageDiedError, match="ZeroDivisionError"):
        line.turn()
    assert line.consumer.released == []


def test_a_transaction_that_was_given_up_during_a_hand_over_is_left_to_the_next_owner() -> None:
    line = bench(ordering_key=by_partition)
    (job,) = line.take(record(3))
    job.dropped = True
    line.end(job)
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.rewound == line.consumer.released == []

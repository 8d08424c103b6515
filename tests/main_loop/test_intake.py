"""What comes in: a reached in-flight limit, partitions of others, records that are passed over or read again."""

from __future__ import annotations

import dataclasses
import time

import pytest

from tests.support.looping import bench
from tests.support.making import PARTITION, corrupt, record, request
from worker.admission.key_order import by_partition
from worker.records import Partition, Record


def test_an_admitted_record_is_charged_linked_to_the_one_before_and_handed_to_the_stages() -> None:
    line = bench()
    jobs = line.take(record(5, key=b"k", value=b"x" * 400), record(6, key=b"other"), record(7, key=b"k"))
    assert [job.record.offset for job in jobs] == [5, 6, 7]
    assert [job.after for job in jobs] == [None, None, jobs[0]]
    assert [job.reserved_tokens for job in jobs] == [
        100,
        line.limit.MIN_TOKENS,
        line.limit.MIN_TOKENS,
    ]
    assert line.limit.in_flight_tokens == sum(job.reserved_tokens for job in jobs)
    assert line.tracker.open_count([PARTITION]) == 3


def test_records_of_a_partition_that_is_not_assigned_are_ignored() -> None:
    line = bench()
    stranger = Record(Partition("requests", 1), 0, 1, None, b"{}")
    (job,) = line.take(stranger, record(0))
    assert job.record.partition == PARTITION
    assert line.limit.in_flight_tokens == job.reserved_tokens


def test_a_wall_clock_that_jumps_after_the_receipt_of_an_event_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line, wall_s = bench(), time.time()
    (job,) = line.take(record(0, timestamp_ms=int(wall_s * 1000) - 1000))
    created_s = job.created_s
    monkeypatch.setattr(time, "time", lambda: wall_s - 86_400)
    job.request, job.outcome, job.deadline_s = request(1), ("reranked", "complete"), created_s + 600
    line.end(job)
    line.turn()
    assert job.created_s == created_s
    assert line.metric("event_latency_seconds_sum") == pytest.approx(1, abs=60)
    assert line.metric("deadlines_total", met="true") == 1


def test_timestamps_are_compared_with_the_receipt_and_with_since_when_their_records_can_have_been_readable() -> None:
    line, now_ms = bench(), int(time.time() * 1000)
    line.loop._gauges.EVERY_S = 0
    line.consumer.readable_since = {2: time.monotonic()}
    hour_ms = 3_600_000
    line.take(
        record(0, timestamp_ms=now_ms + hour_ms),
        record(1, timestamp_ms=now_ms - 5 * hour_ms),  # of which it is not known since when it was readable
        record(2, timestamp_ms=now_ms - 2 * hour_ms),
        record(3, timestamp_ms=-1),
    )
    assert line.metric("clock_skew_seconds", direction="ahead") == pytest.approx(3600, abs=60)
    assert line.metric("clock_skew_seconds", direction="behind") == pytest.approx(7200, abs=60)


def test_records_of_a_partition_that_is_not_ours_prove_nothing() -> None:
    line = bench()
    line.loop._gauges.EVERY_S = 0
    line.take(Record(Partition("requests", 1), 0, int(time.time() * 1000) + 3_600_000, None, b"{}"))
    assert line.metric("clock_skew_seconds", direction="ahead") == 0


def test_a_full_door_pauses_until_half_of_it_is_free() -> None:
    line = bench(limit=64)
    jobs = line.take(*(record(at) for at in range(4)))
    assert not line.consumer.paused  # the limit is passed by what one poll brings
    paused = []
    for job in jobs:
        line.end(job)
        line.turn()  # settles after it has decided
        line.turn()
        paused.append(line.consumer.paused)
    assert paused == [True, True, False, False]


def test_a_poll_while_the_door_is_full_does_not_wait_since_the_client_would_for_the_whole_time() -> None:
    line = bench(limit=1)
    line.take(record(0))
    line.consumer.waits_s.clear()
    line.loop._intake._poll_due_s = 0.0
    line.turn()
    assert line.consumer.paused
    assert line.consumer.waits_s == [0]


def test_records_that_cannot_be_read_are_passed_over_with_a_dead_letter_in_their_place() -> None:
    line = bench(on_corrupt_record="skip-to-dlq", ordering_key=by_partition)
    before, lost, behind = line.take(record(7), corrupt(8, 12), record(12))
    assert lost.created_s == lost.received_s
    assert (lost.after, behind.after) == (before, lost)
    line.end(before, behind)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 8}]
    line.end(lost)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 8}, {PARTITION: 13}]


def test_lost_records_of_a_partition_that_was_given_up_are_its_next_owners() -> None:
    line = bench()
    line.consumer.records = [corrupt(8, 12)]
    line.turn()
    assert line.loop._intake.lost is None
    assert line.inbox.take(0) == []


def test_what_a_poll_brought_before_its_partition_was_rewound_is_not_taken() -> None:
    line = bench(ordering_key=by_partition)
    other = Partition("requests", 1)
    line.consumer.tell("assigned", other)
    (job,) = line.take(record(4))
    job.dropped = True
    line.end(job)
    line.consumer.records = [record(5), record(6)]
    line.consumer.tell("revoked", other)  # its hand-over settles endings, with the records already in hand
    tracked = line.tracker.track(other, 0)
    assert tracked
    line.loop._options = dataclasses.replace(line.loop._options, hand_over_timeout_s=0.05)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]
    assert line.inbox.take(0) == []
    assert [job.record.offset for job in line.take(record(4))] == [4]


def test_kafka_is_read_so_far_apart_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    line = bench(read_interval_s=lambda: 0.03)
    slept: list[float] = []
    monkeypatch.setattr("worker.main_loop.intake.time.sleep", slept.append)
    line.turn()
    assert slept == []  # the first time is long ago
    line.turn()
    assert len(slept) == 1
    assert 0 < slept[0] <= 0.03

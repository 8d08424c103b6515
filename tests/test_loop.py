"""The main loop in its turns: what is admitted, what ends, what is committed."""

from __future__ import annotations

import time

import pytest

from tests.looping import NEVER_S, Bench, bench
from tests.making import PARTITION, record
from worker.dead_letter_limits import DeadLetterLimits
from worker.delivery import Ending
from worker.exits import Exit, StopError
from worker.jobs import Fault, Job, Partition, Record
from worker.ordering import by_nothing, by_partition
from worker.pipeline import StageDiedError


def _end(line: Bench, *jobs: Job) -> None:
    for job in jobs:
        line.endings.put(Ending(job, time.monotonic()))


def test_an_admitted_record_is_charged_linked_to_the_one_before_and_handed_to_the_stages() -> None:
    line = bench()
    jobs = line.take(record(5, key=b"k", value=b"x" * 400), record(6, key=b"other"), record(7, key=b"k"))
    assert [job.record.offset for job in jobs] == [5, 6, 7]
    assert [job.after for job in jobs] == [None, None, jobs[0]]
    assert [job.charge for job in jobs] == [100, line.door.MIN_CHARGE, line.door.MIN_CHARGE]
    assert line.door.in_flight_tokens == sum(job.charge for job in jobs)
    assert line.ledger.open_count([PARTITION]) == 3


def test_nothing_is_linked_where_keys_have_no_order() -> None:
    line = bench(line_of=by_nothing)
    assert [job.after for job in line.take(record(5, key=b"k"), record(6, key=b"k"))] == [None, None]


def test_an_event_is_never_younger_than_its_receipt() -> None:
    hour_ms = 3_600_000
    now_ms = int(time.time() * 1000)
    times_ms = (now_ms - hour_ms, now_ms + hour_ms, -1)
    old, early, unknown = bench().take(*(record(at, timestamp_ms=ms) for at, ms in enumerate(times_ms)))
    assert old.received_s - old.created_s == pytest.approx(3600, abs=60)
    assert early.created_s == early.received_s
    assert unknown.created_s == unknown.received_s


def test_what_has_ended_is_settled_released_forgotten_and_committed_as_the_next_offset() -> None:
    line = bench()
    first, second = line.take(record(5, key=b"k"), record(6, key=b"other"))
    _end(line, first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 6}]
    assert line.door.in_flight_tokens == second.charge
    assert line.ledger.open_count([PARTITION]) == 1
    assert line.metric("commits_total", result="ok") == 1
    (third,) = line.take(record(7, key=b"k"))
    assert third.after is None
    line.turn()
    assert line.consumer.commits == [{PARTITION: 6}]  # what did not change is not committed again


def test_nothing_behind_an_event_that_is_still_inside_is_committed() -> None:
    line = bench()
    first, second, third = line.take(record(0), record(1), record(8))  # compaction has left a hole
    _end(line, second, third)
    line.turn()
    assert line.consumer.commits == []
    _end(line, first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 9}]


def test_records_of_a_partition_that_is_not_assigned_are_ignored() -> None:
    line = bench()
    stranger = Record(Partition("requests", 1), 0, 1, None, b"{}")
    (job,) = line.take(stranger, record(0))
    assert job.record.partition == PARTITION
    assert line.door.in_flight_tokens == job.charge


def test_keys_and_headers_count_at_the_door() -> None:
    line = bench()
    (job,) = line.take(Record(PARTITION, 0, 1, b"k" * 100, b"v" * 200, (("name", b"h" * 96), ("null", None))))
    assert line.door.in_flight_bytes == 404
    assert line.door.in_flight_tokens == 101
    _end(line, job)
    line.turn()
    assert (line.door.in_flight_bytes, line.door.in_flight_tokens) == (0, 0)


def test_a_full_door_pauses_until_half_of_it_is_free() -> None:
    line = bench(limit=64)
    jobs = line.take(*(record(at) for at in range(4)))
    assert not line.consumer.paused  # the limit is passed by what one poll brings
    paused = []
    for job in jobs:
        _end(line, job)
        line.turn()  # settles after it has decided
        line.turn()
        paused.append(line.consumer.paused)
    assert paused == [True, True, False, False]


def test_the_gauges_show_the_door_and_the_lag_of_partitions_that_are_owned() -> None:
    line = bench(limit=16)
    line.loop.REPORT_S = 0
    line.take(record(0))
    line.consumer.records = [record(1)]
    line.turn()
    assert line.metric("in_flight_tokens") == 16
    assert line.metric("in_flight_bytes") == 2
    assert line.metric("partitions_paused") == 1
    assert line.metric("consumer_lag_records", topic="requests", partition="0") == 1
    assert line.metric("consumer_lag_records", topic="requests", partition="9") is None


def test_a_refused_commit_is_counted_and_tried_again() -> None:
    line = bench()
    _end(line, *line.take(record(3)))
    line.consumer.refusals = 1
    line.turn()
    assert line.consumer.commits == []
    assert line.metric("commits_total", result="refused") == 1
    line.turn()
    assert line.consumer.commits == [{PARTITION: 4}]
    assert line.metric("commits_total", result="ok") == 1


def test_commits_wait_for_their_interval() -> None:
    line = bench(commit_interval_s=NEVER_S)
    _end(line, *line.take(record(3)))
    line.turn()
    assert line.consumer.commits == []
    assert line.ledger.committable() == {PARTITION: 4}


def test_what_kafka_says_is_final_is_raised_as_it_is() -> None:
    line = bench()
    (job,) = line.take(record(3))
    error = StopError(Exit.FORBIDDEN, "the worker's user may not Write topic results")
    line.endings.put(Ending(job, time.monotonic(), error))
    with pytest.raises(StopError) as raised:
        line.turn()
    assert raised.value is error
    assert line.consumer.commits == []


def test_another_failed_delivery_stops_the_worker_and_names_the_record() -> None:
    line = bench()
    (job,) = line.take(record(3))
    line.endings.put(Ending(job, time.monotonic(), TimeoutError("no answer within 120 s")))
    with pytest.raises(StopError, match=r"requests partition 0 offset 3: TimeoutError: no answer") as raised:
        line.turn()
    assert raised.value.code == Exit.DELIVERY
    assert line.consumer.commits == []
    assert line.ledger.open_count([PARTITION]) == 1


def test_a_stage_that_died_is_raised() -> None:
    def body(_: Bench) -> None:
        raise ZeroDivisionError("by nothing")

    line = bench(body)
    line.pipeline.start()
    assert line.pipeline.join(10)
    with pytest.raises(StageDiedError, match="stage 0 stage died: ZeroDivisionError: by nothing"):
        line.turn()


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


def test_a_dead_letter_is_counted_by_its_reason_and_has_no_deadline() -> None:
    line = bench()
    (job,) = line.take(record(0))
    job.fault = Fault("not_json", "decode", "InvalidEvent", "expected JSON")
    _end(line, job)
    line.turn()
    assert line.metric("dead_letters_total", reason="not_json") == 1
    assert line.metric("event_latency_seconds_count") == 1
    assert line.metric("deadlines_total", met="true") == line.metric("deadlines_total", met="false") == 0
    assert line.consumer.commits == [{PARTITION: 1}]


def test_too_many_dead_letters_stop_it_with_what_is_queued_dropped_and_what_was_published_committed() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            if job.record.offset >= 2:
                assert line.ledger.retiring.wait(60)
            job.dropped = not job.ticket.wanted
            job.fault = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0")
            _end(line, job)

    line = bench(body, dead_letters=DeadLetterLimits(dead_letters_in_a_row=2), commit_interval_s=NEVER_S)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.turn()
    line.consumer.records = [record(offset) for offset in range(4)]
    with pytest.raises(
        StopError, match=r"^2 events in a row became dead letters .*nothing is committed that"
    ) as stopped:
        line.loop.run(lambda: False)
    assert stopped.value.code is Exit.DEAD_LETTERS
    assert line.consumer.commits == [{PARTITION: 2}]
    assert line.metric("dropped_total") == 2
    assert line.pipeline.join(10)


def test_a_stop_that_was_asked_for_is_not_one_for_dead_letters() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            job.fault = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0")
            _end(line, job)

    line = bench(body, dead_letters=DeadLetterLimits(dead_letters_in_a_row=1))
    (job,) = line.take(record(0))
    line.inbox.put(job)
    line.pipeline.start()
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_what_was_committed_in_a_transaction_is_not_committed_again() -> None:
    line = bench(line_of=by_partition)
    (job,) = line.take(record(3))
    line.endings.put(Ending(job, time.monotonic(), committed=True))
    line.turn()
    assert line.consumer.commits == []
    assert line.door.in_flight_tokens == 0
    assert line.metric("event_latency_seconds_count") == 1


def test_events_of_a_transaction_that_was_given_up_are_read_again_and_what_was_queued_behind_them_too() -> None:
    line = bench(line_of=by_partition)
    done, undone, queued = line.take(record(3), record(4), record(6))
    line.endings.put(Ending(done, time.monotonic(), committed=True))
    undone.dropped = True
    _end(line, undone)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]
    assert not queued.ticket.wanted
    (again,) = line.take(record(4))
    queued.dropped = True
    _end(line, queued)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]  # the copy that was queued is of the old epoch
    line.endings.put(Ending(again, time.monotonic(), committed=True))
    line.turn()
    assert line.consumer.commits == []
    assert line.metric("dropped_total") == 2


def test_a_transaction_that_was_given_up_during_a_hand_over_is_left_to_the_next_owner() -> None:
    line = bench(line_of=by_partition)
    (job,) = line.take(record(3))
    job.dropped = True
    _end(line, job)
    line.consumer.tell("revoked")
    line.turn()
    assert line.consumer.rewound == line.consumer.released == []

"""The main loop in its turns: what is admitted, what ends, what is committed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.looping import EVERY_TURN_S, NEVER_S, Bench, bench
from tests.making import PARTITION, corrupt, pairs, record
from worker.dead_letter_limits import DeadLetterLimits
from worker.delivery import Ending
from worker.exits import Exit, StopError
from worker.jobs import Fault, Job, Partition, Record
from worker.lag import Place
from worker.ordering import by_nothing, by_partition
from worker.pipeline import StageDiedError

if TYPE_CHECKING:
    from worker.kafka_io.rebalance import Kind


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


def test_a_wall_clock_that_jumps_after_the_receipt_of_an_event_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line, wall_s = bench(), time.time()
    (job,) = line.take(record(0, timestamp_ms=int(wall_s * 1000) - 1000))
    created_s = job.created_s
    monkeypatch.setattr(time, "time", lambda: wall_s - 86_400)
    job.outcome, job.deadline_s = ("reranked", "complete"), created_s + 600
    line.endings.put(Ending(job, time.monotonic()))
    line.turn()
    assert job.created_s == created_s
    assert line.metric("event_latency_seconds_sum") == pytest.approx(1, abs=60)
    assert line.metric("deadlines_total", met="true") == 1


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


def test_a_poll_while_the_door_is_full_does_not_wait_since_the_client_would_for_the_whole_time() -> None:
    line = bench(limit=1)
    line.take(record(0))
    line.consumer.waits_s.clear()
    line.loop._poll_due_s = 0.0
    line.turn()
    assert line.consumer.paused
    assert line.consumer.waits_s == [0]


def test_the_backlog_is_the_device_time_that_what_is_not_done_would_take() -> None:
    line = bench()
    line.loop.REPORT_S = 0
    (first,) = line.take(record(0))
    first.pairs, first.limit, first.device_s = pairs(3, 3), 2, 0.25
    _end(line, first)
    line.consumer.places_known = {PARTITION: Place(position=1, end=5, at_s=time.monotonic())}
    line.turn()
    assert line.metric("backlog_seconds") == 4 * 0.25


def test_the_gauges_show_the_door_and_the_lag_of_partitions_that_are_owned() -> None:
    line = bench(limit=16)
    line.loop.REPORT_S = 0
    now_ms = int(time.time() * 1000)
    (first, _) = line.take(record(0, timestamp_ms=now_ms - 60_000), record(1, timestamp_ms=now_ms))
    place = Place(position=2, end=5, at_s=time.monotonic())
    line.consumer.places_known = {PARTITION: place, Partition("requests", 9): place}
    line.turn()
    assert line.metric("in_flight_tokens") == 32
    assert line.metric("in_flight_bytes") == 4
    assert line.metric("partitions_paused") == 1
    owned, stranger = {"topic": "requests", "partition": "0"}, {"topic": "requests", "partition": "9"}
    assert line.metric("consumer_lag_records", **owned) == 5  # two of them inside
    assert line.metric("consumer_lag_seconds", **owned) == pytest.approx(60, abs=10)
    _end(line, first)
    line.turn()
    line.turn()
    assert line.metric("consumer_lag_records", **owned) == 4
    assert line.metric("consumer_lag_seconds", **owned) == pytest.approx(0, abs=10)
    assert line.metric("consumer_lag_records", **stranger) is None
    line.consumer.tell("lost")
    line.turn()
    assert line.metric("consumer_lag_records", **owned) is None
    assert line.metric("consumer_lag_seconds", **owned) is None
    assert line.metric("partitions_assigned") == 0


def test_what_is_no_record_is_committed_too_once_reading_has_come_past_it_and_all_before_it_is_done() -> None:
    """The end of a transaction has an offset of its own."""
    line = bench()
    first, second = line.take(record(0), record(1))
    line.consumer.places_known = {PARTITION: Place(position=3, end=3, at_s=0.0)}
    _end(line, first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}]
    _end(line, second)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}, {PARTITION: 3}]


def test_nothing_is_committed_of_a_partition_of_which_nothing_was_done() -> None:
    line = bench()
    line.take()
    line.consumer.places_known = {PARTITION: Place(position=3, end=3, at_s=0.0)}
    line.turn()
    assert line.consumer.commits == []


def test_the_place_that_reading_has_come_to_is_not_committed_where_it_is_behind_records_that_were_not_taken() -> None:
    line = bench(commit_interval_s=NEVER_S)
    _end(line, *line.take(record(7)))
    line.turn()
    line.consumer.records = [corrupt(8, 12), record(12)]
    line.consumer.places_known = {PARTITION: Place(position=13, end=13, at_s=0.0)}
    with pytest.raises(StopError):
        line.loop.run(lambda: False)
    assert line.consumer.commits == [{PARTITION: 8}]


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


def test_a_refused_commit_is_tried_again_soon_and_ages_until_one_succeeds() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.loop.RETRY_COMMIT_S = EVERY_TURN_S
    line.consumer.refusals = 2
    line.loop._commit_due_s = 0.0
    _end(line, *line.take(record(3)))
    assert line.loop.commit_age_s() == 0
    line.loop._commit_due_s = 0.0
    line.turn()
    assert line.loop.commit_age_s() > 0
    assert line.loop._committing_since_s is not None
    line.loop._committing_since_s -= 7
    line.turn()
    assert line.loop.commit_age_s() >= 7
    line.turn()
    assert line.consumer.commits == [{PARTITION: 4}]
    assert line.loop.commit_age_s() == 0


@pytest.mark.parametrize("kind", ["revoked", "lost"])
def test_what_is_not_ours_to_commit_any_more_does_not_age(kind: Kind) -> None:
    line = bench()
    _end(line, *line.take(record(3)))
    line.consumer.refusals = 1
    line.turn()
    assert line.loop.commit_age_s() > 0
    line.consumer.tell(kind)
    line.turn()
    assert line.loop.commit_age_s() == 0


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


def test_records_that_cannot_be_read_stop_it_once_what_comes_before_them_is_committed() -> None:
    def body(line: Bench) -> None:
        _end(line, *list(line.inbox))  # all at its end: nothing ends before the stop

    line = bench(body)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.turn()
    line.consumer.records = [record(6), record(7), corrupt(8, 12), record(12)]
    with pytest.raises(StopError, match=r"offsets 8 to 11 cannot be read: .*; start it with --on-corrupt") as stopped:
        line.loop.run(lambda: False)
    assert stopped.value.code is Exit.CORRUPT
    assert line.consumer.commits == [{PARTITION: 8}]
    assert line.pipeline.join(10)


def test_a_stop_before_them_says_so_where_what_comes_first_was_not_finished_in_time() -> None:
    line = bench(drain_timeout_s=1e-9)
    line.consumer.tell("assigned")
    line.consumer.records = [record(7), corrupt(8, 12)]
    with pytest.raises(StopError, match="; not all that comes before was finished in time"):
        line.loop.run(lambda: False)
    assert line.consumer.commits == []


def test_a_stop_before_them_says_so_where_the_last_transaction_was_given_up() -> None:
    def body(line: Bench) -> None:
        (job,) = line.inbox
        job.dropped = True
        _end(line, job)

    line = bench(body, line_of=by_partition)
    line.pipeline.start()
    line.consumer.tell("assigned")
    line.consumer.records = [record(7), corrupt(8, 12)]
    with pytest.raises(StopError, match="; not all that comes before was finished in time"):
        line.loop.run(lambda: False)
    assert line.consumer.rewound == [{PARTITION: 7}]
    assert line.pipeline.join(10)


def test_records_that_cannot_be_read_are_passed_over_with_a_dead_letter_in_their_place() -> None:
    line = bench(on_corrupt_record="skip-to-dlq", line_of=by_partition)
    before, lost, behind = line.take(record(7), corrupt(8, 12), record(12))
    assert lost.created_s == lost.received_s
    assert (lost.after, behind.after) == (before, lost)
    _end(line, before, behind)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 8}]
    _end(line, lost)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 8}, {PARTITION: 13}]


def test_the_place_behind_lost_records_is_committed_although_nothing_came_there_yet() -> None:
    line = bench(on_corrupt_record="skip-to-dlq")
    _end(line, *line.take(corrupt(8, 12)))
    line.turn()
    assert line.consumer.commits == [{PARTITION: 12}]


def test_lost_records_of_a_partition_that_was_given_up_are_its_next_owners() -> None:
    line = bench()
    line.consumer.records = [corrupt(8, 12)]
    line.turn()
    assert line.loop._lost is None
    assert line.inbox.take(0) == []


def test_records_without_a_way_past_them_stop_it_all_the_same() -> None:
    line = bench(on_corrupt_record="skip-to-dlq")
    line.consumer.tell("assigned")
    line.consumer.records = [corrupt(8, None)]
    with pytest.raises(StopError, match="where reading can go on is not known"):
        line.loop.run(lambda: False)
    assert line.consumer.commits == []


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

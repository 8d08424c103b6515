"""The main loop where the worker stops: what is finished and committed first, and what it says of the rest."""

from __future__ import annotations

import threading

import pytest

from tests.support.looping import AT_ONCE_S, NEVER_S, Bench, bench
from tests.support.making import PARTITION, corrupt, record
from worker.admission.dead_letter_guard import DeadLetterLimits
from worker.admission.key_order import by_partition
from worker.exits import Exit, StopError
from worker.flow.job import Fault


def _end_all_last(line: Bench) -> None:
    line.end(*list(line.inbox))  # all at its end: nothing ends before the stop


def test_a_stop_finishes_what_is_in_hand_commits_it_and_takes_no_more() -> None:
    line = bench(_end_all_last)
    line.stage_threads.start()
    line.consumer.tell("assigned")
    line.consumer.records = [record(0), record(1)]
    line.turn()
    line.consumer.records = [record(2)]
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 2}]
    assert line.consumer.paused
    assert line.consumer.records == [record(2)]
    assert line.stage_threads.join(10)


def test_the_loop_goes_round_until_it_is_asked_to_stop() -> None:
    line = bench()
    line.consumer.tell("assigned")
    line.consumer.records = [record(0)]
    asked = threading.Event()

    def is_stopping() -> bool:
        if line.inbox:
            line.end(*line.inbox.take(0))
        if line.consumer.commits:
            asked.set()
        return asked.is_set()

    line.loop.run(is_stopping)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_a_stop_whose_time_is_over_returns_and_commits_the_prefix_alone(caplog: pytest.LogCaptureFixture) -> None:
    line = bench(commit_interval_s=NEVER_S, drain_timeout_s=AT_ONCE_S)
    first, _, third = line.take(record(0), record(1), record(2))
    line.end(third)
    line.settle(first)
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]
    assert [each.__dict__["left"] for each in caplog.records if "drain time is over" in each.message] == [1]


def test_the_last_commit_of_a_stop_is_tried_again_while_the_group_refuses_it() -> None:
    line = bench(commit_interval_s=NEVER_S)
    (job,) = line.take(record(0))
    line.settle(job)
    line.consumer.refusals = 2
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]
    assert line.metric("commits_total", result="refused") == 2


def test_a_revocation_during_a_stop_releases_what_is_done() -> None:
    line = bench(commit_interval_s=NEVER_S)
    first, second = line.take(record(0), record(1))
    line.settle(first)
    line.end(second)
    line.consumer.tell("revoked")
    line.loop.run(lambda: True)
    assert line.consumer.released == [{PARTITION: 2}]
    assert line.consumer.commits == []


def test_a_stop_that_was_asked_for_is_not_one_for_dead_letters() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            job.fault = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0")
            line.end(job)

    line = bench(body, dead_letters=DeadLetterLimits(dead_letters_in_a_row=1))
    (job,) = line.take(record(0))
    line.inbox.put(job)
    line.stage_threads.start()
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 1}]


def test_too_many_dead_letters_stop_it_with_what_is_queued_dropped_and_what_was_published_committed() -> None:
    def body(line: Bench) -> None:
        for job in line.inbox:
            if job.record.offset >= 2:
                assert line.tracker.retiring.wait(60)
            job.dropped = not job.tracked.wanted
            job.fault = Fault("schema", "decode", "InvalidEvent", "candidates: expected 1 to 1000, got 0")
            line.end(job)

    line = bench(body, dead_letters=DeadLetterLimits(dead_letters_in_a_row=2), commit_interval_s=NEVER_S)
    line.stage_threads.start()
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
    assert line.stage_threads.join(10)


def test_records_that_cannot_be_read_stop_it_once_what_comes_before_them_is_committed() -> None:
    line = bench(_end_all_last)
    line.stage_threads.start()
    line.consumer.tell("assigned")
    line.turn()
    line.consumer.records = [record(6), record(7), corrupt(8, 12), record(12)]
    with pytest.raises(StopError, match=r"offsets 8 to 11 cannot be read: .*; start it with --on-corrupt") as stopped:
        line.loop.run(lambda: False)
    assert stopped.value.code is Exit.CORRUPT
    assert line.consumer.commits == [{PARTITION: 8}]
    assert line.stage_threads.join(10)


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
        line.end(job)

    line = bench(body, ordering_key=by_partition)
    line.stage_threads.start()
    line.consumer.tell("assigned")
    line.consumer.records = [record(7), corrupt(8, 12)]
    with pytest.raises(StopError, match="; not all that comes before was finished in time"):
        line.loop.run(lambda: False)
    assert line.consumer.rewound == [{PARTITION: 7}]
    assert line.stage_threads.join(10)


def test_records_without_a_way_past_them_stop_it_all_the_same() -> None:
    line = bench(on_corrupt_record="skip-to-dlq")
    line.consumer.tell("assigned")
    line.consumer.records = [corrupt(8, None)]
    with pytest.raises(StopError, match="where reading can go on is not known"):
        line.loop.run(lambda: False)
    assert line.consumer.commits == []

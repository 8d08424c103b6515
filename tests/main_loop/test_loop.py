"""The main loop in its turns: what ends is settled and committed, or read again; what fails stops the worker."""

from __future__ import annotations

import time

import pytest

from tests.support.looping import Bench, bench
from tests.support.making import PARTITION, record
from worker.admission.key_order import by_partition
from worker.delivery import Ending
from worker.exits import Exit, StopError
from worker.flow.stage_threads import StageDiedError


def test_what_has_ended_is_settled_released_forgotten_and_committed_as_the_next_offset() -> None:
    line = bench()
    first, second = line.take(record(5, key=b"k"), record(6, key=b"other"))
    line.end(first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 6}]
    assert line.limit.in_flight_tokens == second.reserved_tokens
    assert line.tracker.open_count([PARTITION]) == 1
    assert line.metric("commits_total", result="ok") == 1
    (third,) = line.take(record(7, key=b"k"))
    assert third.after is None
    line.turn()
    assert line.consumer.commits == [{PARTITION: 6}]  # what did not change is not committed again


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
    assert line.tracker.open_count([PARTITION]) == 1


def test_a_stage_that_died_is_raised() -> None:
    def body(_: Bench) -> None:
        raise ZeroDivisionError("by nothing")

    line = bench(body)
    line.stage_threads.start()
    assert line.stage_threads.join(10)
    with pytest.raises(StageDiedError, match="stage 0 stage died: ZeroDivisionError: by nothing"):
        line.turn()


def test_what_was_committed_in_a_transaction_is_not_committed_again() -> None:
    line = bench(ordering_key=by_partition)
    (job,) = line.take(record(3))
    line.endings.put(Ending(job, time.monotonic(), committed=True))
    line.turn()
    assert line.consumer.commits == []
    assert line.limit.in_flight_tokens == 0
    assert line.metric("event_latency_seconds_count") == 1


def test_events_of_a_transaction_that_was_given_up_are_read_again_and_what_was_queued_behind_them_too() -> None:
    line = bench(ordering_key=by_partition)
    done, undone, queued = line.take(record(3), record(4), record(6))
    line.endings.put(Ending(done, time.monotonic(), committed=True))
    undone.dropped = True
    line.end(undone)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]
    assert not queued.tracked.wanted
    (again,) = line.take(record(4))
    queued.dropped = True
    line.end(queued)
    line.turn()
    assert line.consumer.rewound == [{PARTITION: 4}]  # the copy that was queued is of the old epoch
    line.endings.put(Ending(again, time.monotonic(), committed=True))
    line.turn()
    assert line.consumer.commits == []
    assert line.metric("dropped_total") == 2

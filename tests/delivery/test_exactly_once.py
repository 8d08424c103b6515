"""When a transaction ends, and what it commits; the broker's part is a stub."""

from __future__ import annotations

import time

import pytest

from tests.delivery.transacting import LONG_S, Line, Producer
from tests.support import making
from worker.delivery.transaction import Transaction


def test_an_outcome_is_visible_when_its_transaction_will_have_ended() -> None:
    line = Line(Producer())
    now_s = time.monotonic()
    gathered_s = line.delivery.expected_visible_s(now_s) - now_s
    assert gathered_s == pytest.approx(Transaction.GATHER_S)  # nothing is open: the first ends a transaction soon
    line.send()
    began_s = time.monotonic()
    line.delivery.finish()
    now_s = time.monotonic()
    # The next one has its interval, and takes as long to end as this one did.
    assert began_s + LONG_S < line.delivery.expected_visible_s(now_s) < began_s + LONG_S + 2 * (now_s - began_s)
    assert line.delivery.delays.p97_s(time.monotonic()) > 0


def test_a_transaction_holds_what_came_and_commits_the_next_offsets_with_the_place_in_the_group() -> None:
    producer = Producer()
    line = Line(producer)
    assert line.delivery.next_tick_in_s(time.monotonic()) is None
    first, second = line.send(), line.send()
    line.on_tick(in_s=LONG_S)
    assert producer.done == [
        ("send", "results"),
        ("send", "results"),
        "settle",
        ("commit", {making.PARTITION: 2}, "place"),
    ]
    assert line.ended() == [(first, False, True), (second, False, True)]
    assert line.count("committed") == 1
    assert line.delivery.next_tick_in_s(time.monotonic()) is None


def test_an_outcome_that_stands_for_lost_records_leads_past_all_of_them() -> None:
    producer = Producer()
    line = Line(producer)
    line.send().record = making.corrupt(0, 5)
    line.on_tick(in_s=LONG_S)
    assert producer.done[-1] == ("commit", {making.PARTITION: 5}, "place")


def test_the_first_transaction_ends_as_soon_as_its_batch_has_come_and_the_next_waits_for_the_interval() -> None:
    line = Line(Producer())
    line.send()
    assert line.ended() == []
    line.on_tick(in_s=Transaction.GATHER_S)
    assert len(line.ended()) == 1
    line.send()
    now_s = time.monotonic()
    assert 0 < (line.delivery.next_tick_in_s(now_s) or 0) <= LONG_S
    line.on_tick(in_s=Transaction.GATHER_S)
    assert line.ended() == []
    line.on_tick(in_s=LONG_S)
    assert len(line.ended()) == 1


def test_a_transaction_that_is_full_ends_at_once() -> None:
    line = Line(Producer(), transaction_events=2)
    line.send()
    line.send()
    assert line.delivery.next_tick_in_s(time.monotonic()) == 0
    line.on_tick()
    assert len(line.ended()) == 2


def test_a_dropped_event_ends_outside_of_any_transaction() -> None:
    producer = Producer()
    line = Line(producer)
    job = making.job(1)
    job.dropped = True
    line.delivery.drop(job)
    line.on_tick(in_s=LONG_S)
    assert line.ended() == [(job, True, False)]
    assert producer.done == []


def test_while_a_rebalance_is_under_way_the_transaction_waits_and_says_for_how_long() -> None:
    producer = Producer()
    line = Line(producer)
    line.send()
    line.place = None
    assert line.delivery.commit_age_s() == 0
    line.on_tick(in_s=LONG_S)
    assert line.ended() == []
    line.delivery._closing._since_s = time.monotonic() - 7
    assert line.delivery.commit_age_s() >= 7
    line.place = "another"
    line.on_tick(in_s=2 * LONG_S)
    assert producer.done[-1] == ("commit", {making.PARTITION: 1}, "another")
    assert line.delivery.commit_age_s() == 0


def test_what_is_open_at_the_end_of_the_work_is_committed_unless_its_partitions_are_gone() -> None:
    producer = Producer()
    line = Line(producer)
    line.send()
    line.delivery.finish()
    assert [committed for _, _, committed in line.ended()] == [True]
    line = Line(Producer(), Producer())
    line.send()
    line.tracker.revoke([making.PARTITION])
    line.delivery.finish()
    assert [committed for _, _, committed in line.ended()] == [False]
    line.delivery.close()

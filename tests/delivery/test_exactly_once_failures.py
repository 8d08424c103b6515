"""What becomes of a transaction that failed; the broker's part is a stub."""

from __future__ import annotations

import pytest

from tests import making
from tests.delivery.transacting import LONG_S, Line, Producer
from worker.delivery import Outgoing
from worker.exits import Exit, StopError
from worker.jobs import Job, Partition
from worker.kafka_io import KeyWantedInTransaction


def test_a_rebalance_that_takes_too_long_costs_the_transaction() -> None:
    old, new = Producer(), Producer()
    line = Line(old, new, transaction_timeout_s=10)
    job = line.send()
    line.place = None
    line.tend(in_s=5)
    assert old.done[-1] == "close"
    assert line.ended() == [(job, True, False)]


def test_nothing_of_a_partition_that_was_given_up_is_committed_and_its_neighbours_are_read_again() -> None:
    old, new = Producer(), Producer()
    line = Line(old, new)
    lost = line.send()
    other = Partition("requests", 1)
    line.ledger.assign([other])
    ticket = line.ledger.open(other, 7)
    assert ticket
    kept = Job(making.record(7), ticket, received_s=0.0, created_s=0.0)
    line.delivery.send(kept, Outgoing("results", None, b"{}", ()))
    line.ledger.forget([making.PARTITION])
    line.tend(in_s=LONG_S)
    assert old.done == [("send", "results"), ("send", "results"), "settle", "close"]
    assert line.ended() == [(lost, True, False), (kept, True, False)]
    assert line.count("aborted") == 1
    assert new.done == []


@pytest.mark.parametrize("failing", ["send", "settle", "commit"])
def test_after_any_failure_the_producer_is_thrown_away_and_its_events_are_read_again(failing: str) -> None:
    old, new = Producer(failing), Producer()
    line = Line(old, StopError(Exit.UNREACHABLE, "no broker"), new)
    job = line.send()
    line.tend(in_s=LONG_S)
    assert old.done[-1] == "close"
    assert line.ended() == [(job, True, False)]
    assert (line.count("aborted"), line.count("committed")) == (1, 0)
    line.ledger.assign([making.PARTITION])
    again = line.send()
    line.tend(in_s=3 * LONG_S)
    assert new.done[-1] == ("commit", {making.PARTITION: 2}, "place")
    assert line.ended() == [(again, False, True)]


def test_what_a_new_producer_cannot_mend_is_raised_as_it_is() -> None:
    error = StopError(Exit.FENCED, "another process has the id")
    line = Line(Producer("commit", error))
    line.send()
    with pytest.raises(StopError) as raised:
        line.tend(in_s=LONG_S)
    assert raised.value is error
    line = Line(Producer("commit"), StopError(Exit.FORBIDDEN, "no"))
    line.send()
    with pytest.raises(StopError) as raised:
        line.tend(in_s=LONG_S)
    assert raised.value.code is Exit.FORBIDDEN


def test_waits_that_have_an_end_of_their_own_are_allowed_for() -> None:
    old, new = Producer("commit"), Producer()
    line = Line(old, StopError(Exit.UNREACHABLE, "no broker"), new, patience_s=70, transaction_timeout_s=10)
    allowed_s: list[float] = []
    line.pulse.beat = allowed_s.append  # type: ignore[method-assign, assignment]
    line.send()
    line.tend(in_s=LONG_S)
    assert allowed_s == [30, 70, 70]


def test_without_a_new_producer_in_time_the_worker_ends_with_a_status_of_its_own() -> None:
    line = Line(Producer("commit"), StopError(Exit.UNREACHABLE, "no broker"), patience_s=0.001)
    line.send()
    with pytest.raises(StopError, match=r"no transaction could be finished for 0\.001 s") as raised:
        line.tend(in_s=LONG_S)
    assert raised.value.code is Exit.STUCK


def test_transactions_that_fail_again_and_again_end_the_worker_too() -> None:
    line = Line(Producer("commit"), Producer("commit"), Producer(), patience_s=60)
    for _ in range(2):
        line.send()
        line.delivery._open.began_s -= 31  # as if it had waited for an answer
        if line.delivery._failing_s:
            with pytest.raises(StopError) as raised:
                line.tend(in_s=3 * LONG_S)
            assert raised.value.code is Exit.STUCK
        else:
            line.tend(in_s=LONG_S)


def test_a_topic_that_refuses_a_record_without_a_key_costs_the_transaction_and_is_remembered() -> None:
    old, new = Producer("settle", KeyWantedInTransaction("results")), Producer()
    line = Line(old, new)
    job = line.send()
    line.tend(in_s=LONG_S)
    assert old.done[-1] == "close"
    assert line.ended() == [(job, True, False)]
    assert "results" in line.delivery.keyed
    assert "dead-letters" not in line.delivery.keyed

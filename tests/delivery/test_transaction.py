"""When a transaction ends, and what is in it."""

from __future__ import annotations

from tests.support import making
from worker.delivery import DeliveryOptions
from worker.delivery.transaction import Transaction
from worker.offsets.tracker import OffsetTracker

INTERVAL_S, TIMEOUT_S = 1.0, 10.0
GATHERED_S = Transaction.GATHER_S


def _transaction(events: int = 1000) -> Transaction:
    return Transaction(
        DeliveryOptions(transaction_interval_s=INTERVAL_S, transaction_events=events, transaction_timeout_s=TIMEOUT_S)
    )


def test_none_is_open_before_the_first_event() -> None:
    transaction = _transaction()
    assert not transaction
    assert transaction.next_tick_in_s(100) is None
    assert not transaction.is_due(100)
    assert transaction.end_s(100) == 100 + GATHERED_S


def test_the_first_one_waits_for_the_rest_of_its_batch_alone() -> None:
    transaction = _transaction()
    transaction.add(making.job(1), 100)
    assert len(transaction) == 1
    assert transaction.end_s(100) == 100 + GATHERED_S
    assert not transaction.is_due(100)
    assert transaction.is_due(100 + GATHERED_S)
    assert transaction.next_tick_in_s(200) == 0
    assert transaction.end_s(200) == 200  # it is late


def test_the_next_one_has_the_interval_since_the_last() -> None:
    transaction, first, second = _transaction(), making.job(1), making.job(1)
    transaction.add(first, 100)
    assert transaction.end(101) == {first: 100}
    assert not transaction
    assert transaction.end_s(101) == 101 + INTERVAL_S
    transaction.add(second, 101.5)
    assert transaction.end_s(101.5) == 101 + INTERVAL_S
    assert transaction.end(103) == {second: 101.5}


def test_one_that_is_full_ends_at_once() -> None:
    transaction = _transaction(events=2)
    transaction.add(making.job(1), 100)
    transaction.add(making.job(1), 100.001)
    assert transaction.is_due(100.001)


def test_one_that_is_put_off_ends_later() -> None:
    transaction = _transaction()
    transaction.add(making.job(1), 100)
    transaction.put_off(103)
    assert transaction.end_s(101) == 103


def test_it_may_wait_for_half_of_what_the_broker_allows_it() -> None:
    transaction = _transaction()
    transaction.add(making.job(1), 100)
    assert not transaction.has_waited_too_long(104.9)
    assert transaction.has_waited_too_long(105)


def test_it_leads_each_partition_past_its_last_event_and_lives_as_long_as_all_of_them() -> None:
    tracker = OffsetTracker()
    tracker.assign([making.PARTITION])
    transaction = _transaction()
    for offset in (3, 7):
        transaction.add(making.job(1, offset=offset, tracker=tracker), 100)
    assert transaction.next_offsets() == {making.PARTITION: 8}
    assert transaction.is_live()
    tracker.revoke([making.PARTITION])
    assert not transaction.is_live()

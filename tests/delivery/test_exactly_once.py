"""What a transaction commits, and what becomes of one that failed; the broker's part is a stub."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests import making
from worker.channel import Channel
from worker.dead_letters import REASONS
from worker.delivery import DeliveryOptions, Ending, ExactlyOnce, Outgoing
from worker.exits import Exit, StopError
from worker.jobs import Job, Partition
from worker.kafka_io import TransactionFailed
from worker.ledger import Ledger
from worker.metrics import Metrics
from worker.pipeline import Pulse
from worker.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_S = 1.0


class Producer:
    """A producer that fails where it is told to, and notes what it was asked."""

    def __init__(self, failing: str | None = None, error: Exception | None = None) -> None:
        self.done: list[Any] = []
        self._failing = failing
        self._error = error or TransactionFailed("no answer")

    def send(self, topic: str, *_: Any) -> None:
        self._do("send", topic)

    def settle(self) -> None:
        self._do("settle")

    def commit(self, offsets: dict[Partition, int], group: Any) -> None:
        self._do("commit", offsets, group)

    def close(self) -> None:
        self._do("close")

    def _do(self, *what: Any) -> None:
        self.done.append(what[0] if len(what) == 1 else what)
        if what[0] == self._failing:
            raise self._error


class Line:
    """A delivery, its producers in the order they are made, and the place in the group that it is given."""

    def __init__(self, *producers: Producer | StopError, patience_s: float = 60.0, **options: Any) -> None:
        self._producers = iter(producers)
        self.ledger = Ledger()
        self.ledger.assign([making.PARTITION])
        self.place: str | None = "place"
        self.endings: Channel[Ending] = Channel()
        self.metrics = Metrics(REASONS)
        self.pulse = Pulse()
        self._offset = 0
        self.delivery = ExactlyOnce(
            self._connect,
            self._membership,
            DeliveryOptions(**{"transaction_interval_s": LONG_S, **options}),
            self.endings,
            self.metrics,
            pulse=self.pulse,
            patience_s=patience_s,
        )

    def send(self, *, key: bytes | None = None) -> Job:
        job = making.job(1, offset=self._offset, key=key, ledger=self.ledger)
        self._offset += 1
        self.delivery.send(job, Outgoing("results", key, b"{}", ()))
        return job

    def tend(self, *, in_s: float = 0.0) -> None:
        self.delivery.tend(time.monotonic() + in_s)

    def ended(self) -> list[tuple[Job, bool, bool]]:
        return [(ending.job, ending.job.dropped, ending.committed) for ending in self.endings.take(0)]

    def count(self, result: str) -> float | None:
        return self.metrics.registry.get_sample_value("rerank_transactions_total", {"result": result})

    def _connect(self) -> Any:
        made = next(self._producers)
        if isinstance(made, StopError):
            raise made
        return made

    @contextmanager
    def _membership(self) -> Iterator[str | None]:
        yield self.place


def test_an_outcome_is_visible_when_its_transaction_will_have_ended() -> None:
    line = Line(Producer())
    now_s = time.monotonic()
    gathered_s = line.delivery.visible_s(now_s) - now_s
    assert gathered_s == pytest.approx(Transaction.GATHER_S)  # nothing is open: the first ends a transaction soon
    line.send()
    line.tend(in_s=LONG_S)
    now_s = time.monotonic()
    assert line.delivery.visible_s(now_s) == pytest.approx(now_s + LONG_S, abs=1.0)  # the next one has its interval
    assert line.delivery.delays.long_s > 0


def test_a_transaction_holds_what_came_and_commits_the_next_offsets_with_the_place_in_the_group() -> None:
    producer = Producer()
    line = Line(producer)
    assert line.delivery.patience_s(time.monotonic()) is None
    first, second = line.send(), line.send()
    line.tend(in_s=LONG_S)
    assert producer.done == [
        ("send", "results"),
        ("send", "results"),
        "settle",
        ("commit", {making.PARTITION: 2}, "place"),
    ]
    assert line.ended() == [(first, False, True), (second, False, True)]
    assert line.count("committed") == 1
    assert line.delivery.patience_s(time.monotonic()) is None


def test_an_outcome_that_stands_for_lost_records_leads_past_all_of_them() -> None:
    producer = Producer()
    line = Line(producer)
    line.send().record = making.corrupt(0, 5)
    line.tend(in_s=LONG_S)
    assert producer.done[-1] == ("commit", {making.PARTITION: 5}, "place")


def test_the_first_transaction_ends_as_soon_as_its_batch_has_come_and_the_next_waits_for_the_interval() -> None:
    line = Line(Producer())
    line.send()
    assert line.ended() == []
    line.tend(in_s=Transaction.GATHER_S)
    assert len(line.ended()) == 1
    line.send()
    now_s = time.monotonic()
    assert 0 < (line.delivery.patience_s(now_s) or 0) <= LONG_S
    line.tend(in_s=Transaction.GATHER_S)
    assert line.ended() == []
    line.tend(in_s=LONG_S)
    assert len(line.ended()) == 1


def test_a_transaction_that_is_full_ends_at_once() -> None:
    line = Line(Producer(), transaction_events=2)
    line.send()
    line.send()
    assert line.delivery.patience_s(time.monotonic()) == 0
    line.tend()
    assert len(line.ended()) == 2


def test_a_dropped_event_ends_outside_of_any_transaction() -> None:
    producer = Producer()
    line = Line(producer)
    job = making.job(1)
    job.dropped = True
    line.delivery.drop(job)
    line.tend(in_s=LONG_S)
    assert line.ended() == [(job, True, False)]
    assert producer.done == []


def test_while_a_rebalance_is_under_way_the_transaction_waits_and_says_for_how_long() -> None:
    producer = Producer()
    line = Line(producer)
    line.send()
    line.place = None
    assert line.delivery.commit_age_s() == 0
    line.tend(in_s=LONG_S)
    assert line.ended() == []
    line.delivery._closing._since_s = time.monotonic() - 7
    assert line.delivery.commit_age_s() >= 7
    line.place = "another"
    line.tend(in_s=2 * LONG_S)
    assert producer.done[-1] == ("commit", {making.PARTITION: 1}, "another")
    assert line.delivery.commit_age_s() == 0


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


def test_what_is_open_at_the_end_of_the_work_is_committed_unless_its_partitions_are_gone() -> None:
    producer = Producer()
    line = Line(producer)
    line.send()
    line.delivery.finish()
    assert [committed for _, _, committed in line.ended()] == [True]
    line = Line(Producer(), Producer())
    line.send()
    line.ledger.forget([making.PARTITION])
    line.delivery.finish()
    assert [committed for _, _, committed in line.ended()] == [False]
    line.delivery.close()

"""The delivery of outcomes each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import making
from worker.channel import Channel
from worker.delivery import AtLeastOnce, Ending, Outgoing
from worker.exits import StopError
from worker.kafka_io import KeyWanted, RecordTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

OUTGOING = Outgoing("results", b"k", b"v", ())


class Holding:
    """A producer that acknowledges when it is told to, or refuses."""

    def __init__(self) -> None:
        self.held: list[Callable[[Exception | None], None]] = []
        self.refuses = False
        self.closed = False

    def send(self, *given: Any) -> None:
        if self.refuses:
            raise RecordTooLarge("expected at most 1 byte")
        self.held.append(given[-1])

    def close(self, *_: float) -> None:
        self.closed = True


class Clock:
    """A time that is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("worker.delivery.at_least_once.time", clock)
    return clock


def test_the_age_is_that_of_the_oldest_outcome_that_nobody_has_acknowledged(clock: Clock) -> None:
    producer: Any = Holding()
    endings: Channel[Ending] = Channel()
    delivery = AtLeastOnce(lambda: producer, endings)
    assert delivery.outcome_age_s() == 0
    for offset in range(3):
        delivery.send(making.job(1, offset=offset), OUTGOING)
        clock.now_s += 10
    assert delivery.outcome_age_s() == 30
    first, second, third = producer.held
    second(None)
    assert delivery.outcome_age_s() == 30
    first(RuntimeError("refused"))
    assert delivery.outcome_age_s() == 10
    third(None)
    assert delivery.outcome_age_s() == 0
    assert len(endings.take(0)) == 3


def test_what_cannot_be_sent_has_no_age(clock: Clock) -> None:
    producer: Any = Holding()
    delivery = AtLeastOnce(lambda: producer, Channel())
    job = making.job(1)
    producer.refuses = True
    with pytest.raises(RecordTooLarge):
        delivery.send(job, OUTGOING)
    clock.now_s += 10
    assert delivery.outcome_age_s() == 0
    producer.refuses = False
    delivery.send(job, OUTGOING)  # as a smaller record
    clock.now_s += 10
    assert delivery.outcome_age_s() == 10


def test_a_producer_that_has_sent_a_record_without_its_key_is_replaced_and_what_it_had_is_read_again() -> None:
    made: list[Any] = []

    def connect() -> Any:
        made.append(Holding())
        return made[-1]

    endings: Channel[Ending] = Channel()
    delivery = AtLeastOnce(connect, endings)
    jobs = [making.job(1, offset=offset) for offset in range(3)]
    for job in jobs[:2]:
        delivery.send(job, OUTGOING)
    beside, keyless = made[0].held
    beside(KeyWanted(None))
    keyless(KeyWanted("results"))
    assert [(ending.job.dropped, ending.error) for ending in endings.take(0)] == [(True, None)] * 2
    assert "results" in delivery.keyed
    assert "dead-letters" not in delivery.keyed
    delivery.send(jobs[2], OUTGOING)
    assert made[0].closed
    made[1].held[0](None)
    delivery.tend(0.0)
    assert len(made) == 2
    assert not jobs[2].dropped


def test_where_nobody_knows_which_topic_wants_a_key_it_stops_instead_of_trying_for_ever() -> None:
    producer: Any = Holding()
    delivery = AtLeastOnce(lambda: producer, Channel())
    delivery.send(making.job(1), OUTGOING)
    producer.held[0](KeyWanted(None))
    with pytest.raises(StopError, match="--key-for-keyless"):
        delivery.tend(0.0)

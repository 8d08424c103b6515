"""Requests that are written in transactions, some of which are aborted."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer

from tests.integration.line import Line, Worker, event, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.apache, pytest.mark.broker]

Place = tuple[int, int]
READS_COMMITTED = pytest.mark.parametrize(
    "options",
    [{"isolation_level": "read_committed"}, {"delivery": "exactly-once"}],
    ids=["at-least-once", "exactly-once"],
)


@pytest.fixture
def source(line: Line) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(
        bootstrap_servers=line.broker, transactional_id=f"{line.group}-source", retry_backoff_ms=5, linger_ms=5
    )
    producer.init_transactions()
    with closing(producer):
        yield producer


def _start(line: Line, **options: Any) -> Worker:
    return line.start(module="tests.integration.light_worker", **options)


def _begin(line: Line, source: KafkaProducer, first: int, count: int = 12) -> list[Place]:
    """Write requests in a transaction that stays open; return their places."""
    source.begin_transaction()
    futures = [
        source.send(line.requests, json.dumps(event(number, candidates=2)).encode(), partition=number % 3)
        for number in range(first, first + count)
    ]
    source.flush(60)
    return [(future.get(60).partition, future.get(60).offset) for future in futures]


def _lag(worker: Worker) -> tuple[float, float]:
    return worker.metric("rerank_consumer_lag_records"), worker.metric("rerank_consumer_lag_seconds")


@READS_COMMITTED
def test_what_was_aborted_is_not_read_and_what_ends_a_transaction_is_no_lag(
    line: Line, source: KafkaProducer, options: dict[str, str]
) -> None:
    worker = _start(line, **options)
    committed: list[Place] = []
    for number in range(10):
        sent = _begin(line, source, number * 12)
        if number % 3 == 1:
            source.abort_transaction()
        else:
            source.commit_transaction()
            committed += sent
    results = line.read(line.results, len(committed), isolation_level="read_committed")
    assert sources(results) == dict.fromkeys(committed, 1)
    # The last offset of each partition is that of a transaction's end.
    ends = {name.partition: line.end(name) for name in line.partitions}
    last = {partition: max(at for number, at in committed if number == partition) for partition in ends}
    assert all(ends[partition] > last[partition] + 1 for partition in ends)
    if "delivery" in options:  # offsets are in the worker's own transactions alone
        ends = {partition: offset + 1 for partition, offset in last.items()}
    worker.until("all of it is committed", lambda: line.committed() == ends)
    worker.until("there is no lag", lambda: _lag(worker) == (0, 0))


@READS_COMMITTED
def test_an_open_transaction_is_waited_for_and_shows_as_lag(
    line: Line, source: KafkaProducer, options: dict[str, str]
) -> None:
    worker = _start(line, **options)
    sent = _begin(line, source, 0)
    behind = line.publish([event(100)], partition=0)
    worker.until("it shows", lambda: _lag(worker)[0] == len(sent) + len(behind) and _lag(worker)[1] > 0)
    assert worker.metric("rerank_events_total") == 0
    source.commit_transaction()
    results = line.read(line.results, len(sent) + 1, isolation_level="read_committed")
    assert sources(results) == dict.fromkeys([*sent, *behind], 1)
    worker.until("there is no lag", lambda: _lag(worker) == (0, 0))


def test_by_default_everything_is_read_at_once(line: Line, source: KafkaProducer) -> None:
    worker = _start(line)
    sent = _begin(line, source, 0)
    assert sources(line.read(line.results, len(sent))) == dict.fromkeys(sent, 1)
    source.abort_transaction()
    ends = {name.partition: line.end(name) for name in line.partitions}
    worker.until("what ended it is committed too", lambda: line.committed() == ends)
    worker.until("there is no lag", lambda: _lag(worker) == (0, 0))

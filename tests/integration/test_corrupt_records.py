"""Records that are damaged on the broker's disk: the worker stops before them, or goes on behind them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import Line, Worker, event, sources
from tests.support.damage import spoil, stored_batches
from worker.dead_letters import read
from worker.exits import Exit
from worker.records import Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.apache, pytest.mark.broker]

DELIVERIES = pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
Place = tuple[int, int]


def _start(line: Line, delivery: str, name: str = "0", **options: Any) -> Worker:
    given = {"delivery": delivery, "transactional_id": f"{line.group}-{name}", **options}
    return line.start(module="tests.integration.light_worker", **given)


def _publish(line: Line, batches: int, size: int = 5) -> list[Place]:
    """Publish batches of events, in turn to each partition; return the place of each event."""
    sent: list[Place] = []
    for number in range(batches):
        events = [event(number * size + each, candidates=2) for each in range(size)]
        sent += line.publish(events, partition=number % len(line.partitions))
    return sent


def _spoil(line: Line, log_of: Callable[..., Path], partition: int, every: int) -> set[Place]:
    """Damage every so many batches of a partition; return the places of their records."""
    log = log_of(line.requests, partition)
    lost: set[Place] = set()
    for batch in stored_batches(log)[every // 2 :: every]:
        spoil(log, batch)
        lost |= {(partition, offset) for offset in range(batch.first, batch.last + 1)}
    return lost


def _buried(line: Line, lost: int) -> Counter[Place]:
    """Return how often the dead letters say that each place was lost, once they name as many places as that."""
    count = 1
    while True:
        found: Counter[Place] = Counter()
        for each in line.read(line.dead_letters, count, isolation_level="read_committed"):
            place = Partition(each.topic, each.partition)
            letter = read(Record(place, each.offset, each.timestamp, each.key, each.value, tuple(each.headers)))
            assert (letter.reason, letter.value, letter.partition.topic) == ("corrupt", None, line.requests)
            assert letter.last_offset is not None
            found.update((letter.partition.number, at) for at in range(letter.offset, letter.last_offset + 1))
        if len(found) >= lost:
            return found
        count += 1


@DELIVERIES
def test_it_stops_before_them_with_everything_else_committed_and_goes_on_behind_them_when_told_to(
    line: Line, log_of: Callable[..., Path], delivery: str
) -> None:
    sent = _publish(line, 9)
    log = log_of(line.requests, 1)
    spoil(log, stored_batches(log)[1])
    stopped = line.start(module="tests.integration.light_worker", wait=False, delivery=delivery)
    assert stopped.wait(120) == Exit.CORRUPT
    assert stopped.tail().splitlines()[-1] == (
        f"rerank-worker: {line.requests} partition 1: the records at offsets 5 to 9 cannot be read: Record batch at "
        "offset 5 failed crc check; what comes before is finished and committed; start it with --on-corrupt-record "
        "skip-to-dlq to go on behind, or move the group's offset to 10"
    )
    assert line.committed()[1] == 5
    done = sources(line.read(line.results, 5, isolation_level="read_committed"))
    assert {offset for partition, offset in done if partition == 1} == set(range(5))
    for partition, offset in line.committed().items():
        assert {(partition, at) for at in range(offset or 0)} <= set(done)

    worker = _start(line, delivery, on_corrupt_record="skip-to-dlq")
    lost = {(1, offset) for offset in range(5, 10)}
    results = line.read(line.results, len(sent) - len(lost), isolation_level="read_committed")
    assert sources(results) == dict.fromkeys(set(sent) - lost, 1)
    assert _buried(line, len(lost)) == dict.fromkeys(lost, 1)
    worker.until("all is committed", lambda: line.committed() == dict.fromkeys(range(3), 15))
    assert worker.metric("rerank_dead_letters_total", reason="corrupt") == 1
    assert worker.stop(grace_s=40) == 0


@DELIVERIES
def test_kills_and_rebalances_lose_nothing_behind_them_and_pass_over_nothing_else(
    line: Line, log_of: Callable[..., Path], delivery: str
) -> None:
    options = {"on_corrupt_record": "skip-to-dlq", "max_in_flight_tokens": 3000}
    sent = _publish(line, 120)
    lost = set().union(*(_spoil(line, log_of, partition, every=4) for partition in range(3)))
    first = _start(line, delivery, "first", **options)
    for more in (60, 120):
        first.until("some are done", lambda more=more: line.count(line.results) > more)  # type: ignore[misc]
        first.kill()
        first = _start(line, delivery, "first", **options)
    second = _start(line, delivery, "second", **options)
    second.until("it has partitions", lambda: second.metric("rerank_partitions_assigned") > 0)
    results = line.read(line.results, len(sent) - len(lost), isolation_level="read_committed")
    found, buried = sources(results), _buried(line, len(lost))
    assert found.keys() == set(sent) - lost
    assert buried.keys() == lost
    if delivery == "exactly-once":
        assert set(found.values()) == set(buried.values()) == {1}
    second.until("all is committed", lambda: sum(filter(None, line.committed().values())) == len(sent))

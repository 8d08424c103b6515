"""One result for each request, seen by a reader of committed records, whatever happens to the workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.integration.line import Line, Worker, event, sources, wait_until
from worker.exits import Exit
from worker.kafka_io import KafkaOptions, TransactionalProducer, record_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kafka.consumer.fetcher import ConsumerRecord

pytestmark = [pytest.mark.apache, pytest.mark.broker]


def _start(line: Line, name: str, **options: Any) -> Worker:
    given = {"delivery": "exactly-once", "transactional_id": f"{line.group}-{name}", **options}
    return line.start(module="tests.integration.light_worker", **given)


def _done(worker: Worker, count: int = 50) -> None:
    worker.until(f"{count} are done", lambda: worker.metric("rerank_events_total") > count)


def _results(line: Line, sent: Sequence[tuple[int, int]]) -> Sequence[ConsumerRecord]:
    """Return the committed results, which must be one for each request, in the order of each key."""
    results = line.read(line.results, len(sent), isolation_level="read_committed")
    found = sources(results)
    assert {place: count for place, count in found.items() if count > 1} == {}
    assert found.keys() == set(sent)
    _assert_in_order(results)
    return results


def _assert_in_order(results: Iterable[ConsumerRecord]) -> None:
    last: dict[Any, int] = {}
    for result in results:
        offset = json.loads(result.value)["source"]["offset"]
        assert last.get(result.key, -1) < offset, f"key {result.key!r}: {offset} came after {last[result.key]}"
        last[result.key] = offset


def test_results_dead_letters_and_offsets_become_visible_together(line: Line) -> None:
    worker = _start(line, "0")
    sent = line.publish(event(number) for number in range(150))
    bad = line.publish([b"{", None, b"[]"])
    sent += line.publish(event(number) for number in range(150, 300))
    _results(line, sent)
    letters = line.read(line.dead_letters, len(bad), isolation_level="read_committed")
    assert len(letters) == len(bad)
    # An offset is committed with its result: what was read is already behind the group.
    ends = {
        partition: max(offset for number, offset in [*sent, *bad] if number == partition) + 1 for partition in range(3)
    }
    assert line.committed() == ends
    assert worker.metric("rerank_transactions_total", result="committed") >= 2
    assert worker.metric("rerank_transactions_total", result="aborted") == 0
    assert worker.metric("rerank_commits_total") == 0
    assert worker.stop(grace_s=40) == 0
    assert line.committed() == ends


def test_a_result_too_large_for_its_topic_becomes_a_dead_letter_of_the_same_transaction(line: Line) -> None:
    worker = _start(line, "0", max_record_bytes=10_000)
    sent = line.publish([event(1), event(2, metadata="x" * 20_000), event(3)], key=b"k")
    results = line.read(line.results, 2, isolation_level="read_committed")
    assert set(sources(results)) == {sent[0], sent[2]}
    (letter,) = line.read(line.dead_letters, 1, isolation_level="read_committed")
    assert dict(letter.headers)["dlq.reason"] == b"result_too_large"
    assert worker.metric("rerank_transactions_total", result="aborted") == 0


def test_workers_that_join_and_leave_while_events_flow_publish_each_result_once(line: Line) -> None:
    first = _start(line, "first")
    sent = line.publish(event(number) for number in range(600))
    second = _start(line, "second")
    sent += line.publish(event(number) for number in range(600, 1000))
    second.until("it has partitions", lambda: second.metric("rerank_partitions_assigned") > 0)
    _done(second, 10)
    assert first.stop(grace_s=40) == 0
    sent += line.publish(event(number) for number in range(1000, 1300))
    _results(line, sent)
    wait_until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))


def test_a_killed_worker_that_starts_again_with_its_id_publishes_each_result_once(line: Line) -> None:
    worker = _start(line, "0", max_in_flight_tokens=20_000)
    sent = line.publish(event(number, candidates=3) for number in range(1000))
    for _ in range(2):
        _done(worker)
        worker.kill()
        worker = _start(line, "0", max_in_flight_tokens=20_000)
    _results(line, sent)


def test_a_worker_that_stood_still_until_others_had_its_partitions_publishes_nothing_of_them(line: Line) -> None:
    zombie = _start(line, "zombie", transaction_timeout_s=2, max_in_flight_tokens=20_000)
    sent = line.publish(event(number, candidates=3) for number in range(1500))
    _done(zombie)
    zombie.pause()
    heir = _start(line, "heir")
    heir.until("it has every partition", lambda: heir.metric("rerank_partitions_assigned") == 3)
    _done(heir)
    zombie.resume()
    _results(line, sent)
    # It came back as a member with nothing to repeat, or found its transaction ended and said so.
    assert zombie.exit_status in (None, Exit.FENCED), zombie.tail()


@pytest.mark.parametrize("fault", ["send", "before the commit", "after the commit"])
def test_a_transaction_that_fails_is_undone_and_done_again_or_found_done(line: Line, fault: str) -> None:
    worker = _start(line, "0", transaction_events=20, environment={"LIGHT_WORKER_FAULT": fault})
    sent = line.publish(event(number, candidates=3) for number in range(600))
    _results(line, sent)
    assert worker.metric("rerank_transactions_total", result="aborted") > 1
    worker.until("all are settled", lambda: worker.metric("rerank_in_flight_tokens") == 0)
    assert sum(filter(None, line.committed().values())) == len(sent)


def test_a_second_worker_with_the_same_id_ends_the_first_which_says_why(line: Line) -> None:
    first = _start(line, "same")
    sent = line.publish(event(number) for number in range(600))
    _done(first)
    _start(line, "same")
    sent += line.publish(event(number) for number in range(600, 1200))
    assert first.wait(120) == Exit.FENCED
    assert f"transactional id {line.group}-same was taken" in first.tail()
    _results(line, sent)


def test_a_worker_ends_what_its_predecessor_has_left_open_before_it_loads_its_model(line: Line, tmp_path: Path) -> None:
    kafka = KafkaOptions(bootstrap_servers=line.broker, result_topic=line.results, dead_letter_topic=line.dead_letters)
    name = f"{line.group}-0"
    killed = TransactionalProducer(kafka, transactional_id=name, timeout_s=600, limits=record_limits(kafka))
    killed.send(line.results, b"k", b"never committed", ())
    killed.settle()
    with KafkaConsumer(bootstrap_servers=line.broker, isolation_level="read_committed") as reader:
        places = [TopicPartition(line.results, number) for number in reader.partitions_for_topic(line.results)]
        before = sum(reader.end_offsets(places).values())
        ids = {"delivery": "exactly-once", "transactional_id": name}
        assert line.start(wait=False, model=tmp_path / "no-model", **ids).wait(60) == Exit.MODEL
        assert sum(reader.end_offsets(places).values()) == before + 2  # the record, and the mark that it is none
    killed.close(0)

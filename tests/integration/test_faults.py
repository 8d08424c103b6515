"""Nothing is lost when workers and brokers stop, die, join and leave."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line, Worker, event, sources, wait_until
from worker.tools.local.brokers import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kafka.consumer.fetcher import ConsumerRecord

pytestmark = pytest.mark.broker


def _rankings(results: Sequence[ConsumerRecord]) -> dict[tuple[int, int], list[list[dict[str, float]]]]:
    found = defaultdict(list)
    for record in results:
        result = json.loads(record.value)
        found[result["source"]["partition"], result["source"]["offset"]].append(result["ranking"])
    return found


def _has_done(worker: Worker, count: int) -> bool:
    return worker.metric("rerank_events_total") > count


def test_a_stop_under_load_finishes_what_is_in_hand_and_commits_it(line: Line) -> None:
    worker = line.start(max_in_flight_tokens=2000)
    sent = line.publish(event(number) for number in range(600))
    worker.until("some are done", lambda: worker.metric("rerank_events_total") > 20)
    assert worker.stop(grace_s=40) == 0
    done = sum(offset or 0 for offset in line.committed().values())
    assert 20 < done < len(sent)
    assert len(line.read(line.results, done)) == done  # what is committed is published, and nothing else is
    line.start()
    assert sources(line.read(line.results, len(sent))) == dict.fromkeys(sent, 1)  # none lost, none twice


def test_a_second_signal_ends_the_worker_at_once(line: Line) -> None:
    worker = line.start(max_in_flight_tokens=2000)
    line.publish(event(number, candidates=50, words=60) for number in range(100))
    worker.until("some are done", lambda: worker.metric("rerank_batch_pairs_count") > 2)
    worker.terminate()
    worker.until("it stops", lambda: "stopping" in worker.tail())
    worker.terminate()
    assert worker.wait(60) == 128 + signal.SIGTERM


def test_a_killed_worker_loses_nothing_and_its_duplicates_are_equal(line: Line) -> None:
    worker = line.start(commit_interval_s=2, dtype="float32")
    sent = line.publish(event(number, candidates=3) for number in range(1500))
    for _ in range(2):
        worker.until("some are done", partial(_has_done, worker, 50))
        worker.kill()
        worker = line.start(commit_interval_s=2, dtype="float32")
    worker.until("all are done", lambda: worker.metric("rerank_consumer_lag_records") == 0)
    wait_until("all have a result", lambda: len(sources(line.read(line.results, 1))) == len(sent))
    rankings = _rankings(line.read(line.results, len(sent)))
    assert rankings.keys() == set(sent)
    assert any(len(duplicates) > 1 for duplicates in rankings.values())  # else the kills came too late to show a thing
    for duplicates in rankings.values():
        ids = [[each["id"] for each in ranking] for ranking in duplicates]
        assert ids == [ids[0]] * len(ids)
        logits = [[each["logit"] for each in ranking] for ranking in duplicates]
        assert all(each == pytest.approx(logits[0], abs=2e-2) for each in logits)


def test_workers_that_join_and_leave_while_events_flow_lose_nothing(line: Line) -> None:
    first = line.start(dtype="float32")
    sent = line.publish(event(number) for number in range(500))
    second = line.start(dtype="float32")
    sent += line.publish(event(number) for number in range(500, 1000))
    second.until("it has partitions", lambda: second.metric("rerank_partitions_assigned") > 0)
    second.until("it has done some", lambda: second.metric("rerank_events_total") > 10)
    assert first.stop(grace_s=40) == 0
    sent += line.publish(event(number) for number in range(1000, 1300))
    rankings = _rankings(line.read(line.results, len(sent)))
    assert rankings.keys() == set(sent)
    second.until("it owns all", lambda: second.metric("rerank_partitions_assigned") == 3)
    second.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))


def test_a_thousand_events_behind_a_slow_model_wait_at_the_door(line: Line) -> None:
    # After 6 s without a poll it leaves the group by itself; after 6 s without a heartbeat it is thrown out.
    worker = line.start(
        dtype="float32",
        cpu_threads=1,
        max_in_flight_tokens=20_000,
        batch_tokens=1024,
        max_poll_interval_s=6,
        session_timeout_s=6,
    )
    padding = "x" * 50_000  # 50 MB in all, several times in memory: a worker without a limit would hold it
    sent = line.publish(event(number, candidates=3, words=20, metadata=padding) for number in range(50))
    worker.until("what every batch needs is allocated", lambda: worker.metric("rerank_events_total") == len(sent))
    before_bytes = worker.metric("process_resident_memory_bytes")
    sent += line.publish(event(number, candidates=3, words=20, metadata=padding) for number in range(50, 1000))
    worker.until("the in-flight limit is reached", lambda: worker.metric("rerank_partitions_paused") == 3)
    largest_tokens = largest_bytes = 0.0

    def finished() -> bool:
        nonlocal largest_tokens, largest_bytes
        largest_tokens = max(largest_tokens, worker.metric("rerank_in_flight_tokens"))
        largest_bytes = max(largest_bytes, worker.metric("process_resident_memory_bytes"))
        return worker.metric("rerank_events_total") == len(sent)

    worker.until("all are done", finished, timeout_s=180)
    # One poll may pass the limit: 64 records of some 13,000 tokens by their size.
    assert 20_000 <= largest_tokens < 20_000 + 64 * 14_000
    assert largest_bytes - before_bytes < 450e6  # buffers of both clients and what the allocator keeps, most of it
    assert worker.metric("rerank_rebalances_total", kind="lost") == 0  # its heartbeats and its polls went on
    assert worker.metric("rerank_rebalances_total", kind="revoked") == 0
    assert sources(line.read(line.results, len(sent))) == dict.fromkeys(sent, 1)


def test_a_thousand_events_that_are_mostly_metadata_do_not_fill_the_memory(line: Line) -> None:
    limit = 8_000_000
    slow = {"LIGHT_WORKER_EVENT_S": "0.01"}
    worker = line.start(module="tests.integration.light_worker", max_in_flight_bytes=limit, environment=slow)
    before_bytes = worker.metric("process_resident_memory_bytes")
    padding = "x" * 100_000
    sent = line.publish(event(number, metadata=padding) for number in range(1000))
    worker.until("the in-flight limit is reached", lambda: worker.metric("rerank_partitions_paused") == 3)
    largest = {"rerank_in_flight_bytes": 0.0, "process_resident_memory_bytes": 0.0}

    def finished() -> bool:
        largest.update({name: max(value, worker.metric(name)) for name, value in largest.items()})
        return worker.metric("rerank_events_total") == len(sent)

    worker.until("all are done", finished)
    assert largest["rerank_in_flight_bytes"] < limit + 64 * 101_000  # one poll may pass it
    # Without a limit on bytes it holds nearly all of them at once, as records and as what was read in them.
    assert largest["process_resident_memory_bytes"] - before_bytes < 120e6
    assert sources(line.read(line.results, len(sent))) == dict.fromkeys(sent, 1)


@pytest.mark.apache
def test_a_broker_that_restarts_is_waited_for(apache_kafka_home: Path, tmp_path: Path) -> None:
    from kafka.admin import KafkaAdminClient, NewTopic

    with ApacheKafka(apache_kafka_home, folder=tmp_path / "broker") as broker:

        def make_topic(name: str, *, partitions: int = 1, settings: dict[str, str] | None = None) -> str:
            topic = NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=settings)
            with KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers) as admin:
                admin.create_topics([topic])
                admin.wait_for_topics([name])
            return name

        line = Line(broker.bootstrap_servers, make_topic, tmp_path)
        try:
            worker = line.start(max_in_flight_tokens=2000)
            sent = line.publish(event(number) for number in range(800))
            worker.until("some are done", lambda: worker.metric("rerank_events_total") > 50)
            broker.restart()
            sent += line.publish(event(number) for number in range(800, 900))
            rankings = _rankings(line.read(line.results, len(sent)))
            assert rankings.keys() == set(sent)
            assert worker.running
            worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))
        finally:
            line.close()

"""What Apache Kafka refuses for its size, what a stop leaves behind, and headers that only its own client can send."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import event, sources
from worker.dead_letters import read
from worker.records import Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kafka.consumer.fetcher import ConsumerRecord

    from tests.integration.line import Line

pytestmark = [pytest.mark.broker, pytest.mark.apache]


def _as_record(found: ConsumerRecord) -> Record:
    partition = Partition(found.topic, found.partition)
    return Record(partition, found.offset, found.timestamp, found.key, found.value, tuple(found.headers))


def test_a_result_that_the_broker_refuses_becomes_a_dead_letter_and_the_stream_goes_on(
    line: Line, topics: Callable[..., str]
) -> None:
    small = topics("small-results", settings={"max.message.bytes": "2000"})
    worker = line.start(result_topic=small, compression="none")
    events = [event(number, candidates=3) for number in range(1, 8)]
    large = event(0, candidates=100)
    sent = line.publish([*events[:3], large, *events[3:]], key=b"one key")  # one partition, and one batch of results
    results = line.read(small, len(events))
    assert [json.loads(result.value)["request_id"] for result in results] == [f"r{number}" for number in range(1, 8)]
    letter = read(_as_record(line.read(line.dead_letters, 1)[0]))
    assert (letter.partition.number, letter.offset) == sent[3]
    assert letter.reason == "result_too_large"
    assert json.loads(letter.value or b"") == large
    worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))
    assert worker.metric("rerank_dead_letters_total", reason="result_too_large") == 1
    assert worker.metric("rerank_events_total") == len(events)


def test_a_dead_letter_that_the_broker_refuses_is_sent_without_the_value(
    line: Line, topics: Callable[..., str]
) -> None:
    small = topics("small-letters", settings={"max.message.bytes": "1500"})
    worker = line.start(dead_letter_topic=small, compression="none")
    bad = b'{"query": "' + b"x" * 3000
    sent = line.publish([bad, event(1)], headers=[("traceparent", b"00-1")])
    assert len(line.read(line.results, 1)) == 1
    letter = read(_as_record(line.read(small, 1)[0]))
    assert (letter.partition.number, letter.offset) == sent[0]
    assert letter.reason == "not_json"
    assert letter.value is None
    assert (letter.value_dropped or "").startswith(f"bytes={len(bad)} sha256=")
    assert letter.key == b"k0"
    assert letter.headers == [("traceparent", b"00-1")]
    worker.until("both are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))


def test_headers_whose_names_have_more_bytes_than_characters_stop_nothing(
    line: Line, topics: Callable[..., str]
) -> None:
    results = topics("small-results", settings={"max.message.bytes": "3000"})
    letters = topics("small-letters", settings={"max.message.bytes": "2000"})
    worker = line.start(result_topic=results, dead_letter_topic=letters, compression="none")
    names = ("é" * 1400, "漢" * 950)
    sent = [*line.publish([event(0)], key=b"one key")]
    for name in names:
        sent += line.publish([event(1)], key=b"one key", headers=[(name, b"1")])
    sent += line.publish([event(2)], key=b"one key")
    assert [json.loads(found.value)["request_id"] for found in line.read(results, 2)] == ["r0", "r2"]
    found = [read(_as_record(each)) for each in line.read(letters, 2)]
    assert [(letter.partition.number, letter.offset) for letter in found] == sent[1:3]
    assert [(letter.reason, letter.headers, letter.value) for letter in found] == [("result_too_large", [], None)] * 2
    worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == len(sent))


def test_a_stop_whose_time_is_over_ends_in_order_and_leaves_the_rest_uncommitted(line: Line) -> None:
    # A batch that takes longer than a stage is waited for: it is still on the processor when the worker ends.
    worker = line.start(drain_timeout_s=0.1, batch_tokens=100_000)
    sent = line.publish([event(0)], key=b"one key")
    worker.until("the first is done", lambda: worker.metric("rerank_events_total") == 1)
    sent += line.publish((event(number, candidates=200, words=60) for number in range(1, 5)), key=b"one key")
    worker.until("others are in hand", lambda: worker.metric("rerank_predicted_batch_seconds_count") > 1)
    assert worker.stop(grace_s=60) == 0
    assert "what is left will be read again" in worker.log.read_text()
    committed = {number: offset or 0 for number, offset in line.committed().items()}
    done = sources(line.read(line.results, 1))
    assert {place for place in sent if place[1] < committed[place[0]]} <= done.keys()
    assert sum(committed.values()) < len(sent)
    line.start()
    rest = len(sent) - sum(committed.values())
    assert sources(line.read(line.results, done.total() + rest)).keys() == set(sent)


def test_an_event_with_a_null_header_is_reranked_and_the_stream_goes_on(
    line: Line, apache_kafka_home: Path, tmp_path: Path
) -> None:
    worker = line.start()
    command = [str(apache_kafka_home / "bin" / "kafka-console-producer.sh"), "--bootstrap-server", line.broker]
    command += ["--topic", line.requests]
    for setting in ("parse.headers=true", "null.marker=NULL"):
        command += ["--property", setting]
    texts = (f"nothing:NULL,trace:00-1\t{json.dumps(event(1))}", "nothing:NULL\tno JSON")
    environment = {**os.environ, "LOG_DIR": str(tmp_path / "logs"), "KAFKA_OPTS": "-XX:TieredStopAtLevel=1"}
    subprocess.run(
        command, input="\n".join(texts), text=True, env=environment, timeout=60, check=True, capture_output=True
    )
    assert [("nothing", None), ("trace", b"00-1")] in [each.headers for each in line.read(line.requests, 2)]
    (result,) = line.read(line.results, 1)
    assert json.loads(result.value)["request_id"] == "r1"
    assert result.headers == [("nothing", None), ("trace", b"00-1")]
    letter = read(_as_record(line.read(line.dead_letters, 1)[0]))
    assert (letter.reason, letter.headers) == ("not_json", [("nothing", None)])
    line.publish([event(2)])
    assert len(line.read(line.results, 2)) == 2
    worker.until("all are committed", lambda: sum(filter(None, line.committed().values())) == 3)

"""Events sent at their times through a real broker, and what is noted of them."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.tools.test_watch import DEAD_LETTER
from worker.exits import StopError
from worker.kafka_io import KafkaOptions, Producer
from worker.tools.bench.open_loop import Planned, fly
from worker.tools.bench.post import Post
from worker.tools.topic_reader import TopicReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.line import Line

Headers = list[tuple[str, bytes | None]]
Reply = tuple[str, Headers, bytes]

pytestmark = pytest.mark.broker


@pytest.fixture
def options(line: Line) -> KafkaOptions:
    return KafkaOptions(
        bootstrap_servers=line.broker,
        request_topic=line.requests,
        result_topic=line.results,
        dead_letter_topic=line.dead_letters,
        fetch_wait_s=0.02,
    )


@pytest.fixture
def post(options: KafkaOptions) -> Iterator[Post]:
    with Post(options) as opened:
        yield opened


class Answering:
    """Answers each request by its key, from a thread of its own; keeps the timestamps of what it read."""

    def __init__(self, options: KafkaOptions) -> None:
        self.timestamps_ms: dict[bytes, int] = {}
        self._options = options
        self._stopped = threading.Event()
        self._tail = TopicReader(options, (options.request_topic,))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._tail.close()

    def _run(self) -> None:
        with Producer(self._options) as producer:
            while not self._stopped.is_set():
                for record in self._tail.poll(0.1):
                    key = record.key or b""
                    self.timestamps_ms[key] = record.timestamp_ms
                    for topic, headers, value in self._replies(key):
                        producer.send(topic, key, value, headers, lambda _: None)

    def _replies(self, key: bytes) -> list[Reply]:
        result: Reply = (self._options.result_topic, [], orjson.dumps({"named": key.decode()}))
        match key:
            case b"lost":
                return []
            case b"refused":
                headers: Headers = [(header, text.encode()) for header, text in DEAD_LETTER.items()]
                return [(self._options.dead_letter_topic, headers, b"{}")]
            case b"twice":
                return [result, result]
        return [result]


@pytest.fixture
def answering(options: KafkaOptions) -> Iterator[Answering]:
    made = Answering(options)
    yield made
    made.close()


def planned(at_s: float, key: bytes) -> Planned:
    return Planned(at_s, key, b"{}", candidates=1, budget_s=60.0)


def test_each_event_meets_its_own_end(post: Post, answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.tools.bench.open_loop._PATIENCE_S", 1.0)
    keys = (b"answered", b"twice", b"refused", b"lost")
    plan = [planned(0.1 * number, key) for number, key in enumerate(keys)]
    before_ms = time.time() * 1000
    flown = fly(plan, post, lambda: None)
    assert [each.copies for each in flown] == [1, 2, 1, 0]
    assert [each.result and each.result["named"] for each in flown] == ["answered", "twice", None, None]
    assert flown[2].refused == DEAD_LETTER["dlq.error-message"]
    assert [each.in_budget for each in flown] == [True, True, True, False]
    assert math.isnan(flown[3].came_s)
    # The timestamp is the moment that was planned, not the one of sending.
    first_ms = answering.timestamps_ms[b"answered"]
    assert first_ms >= before_ms - 1
    assert [round(answering.timestamps_ms[key] - first_ms) for key in keys] == pytest.approx([0, 100, 200, 300], abs=1)


def test_waiting_ends_where_the_worker_has(post: Post) -> None:
    def check() -> None:
        raise StopError(1, "it ended")  # type: ignore[arg-type]

    with pytest.raises(StopError, match="it ended"):
        fly([planned(0.0, b"answered"), planned(60.0, b"much later")], post, check)

"""The whole line for a test: topics of its own, workers as child processes, and what goes in and comes out."""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from worker.tools.local.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kafka.consumer.fetcher import ConsumerRecord

SHIPPED_MODEL = Path(__file__).parent.parent.parent / "worker" / "demo" / "model-minilm-l6"

_WORDS = (
    *(
        "oak",
        "steel",
        "brass",
        "white",
        "black",
        "cordless",
        "outdoor",
        "ceramic",
        "LED",
        "12 in.",
        "18-volt",
        "2-pack",
    ),
    *("drill", "lamp", "faucet", "shelf", "tile", "hinge", "fan", "heater", "hose", "ladder", "mirror", "rug", "valve"),
)


def event(number: int, *, candidates: int = 5, words: int = 8, **more: Any) -> dict[str, Any]:
    """Make a request whose texts depend on its number alone."""
    chance = random.Random(number)
    texts = [" ".join(chance.choices(_WORDS, k=words)) for _ in range(candidates)]
    return {
        "request_id": f"r{number}",
        "query": " ".join(chance.choices(_WORDS, k=2)),
        "candidates": [{"id": f"p{at}", "text": text} for at, text in enumerate(texts)],
        **more,
    }


class Worker(Child):
    """A `rerank-worker run` on the line's topics; `module` is what stands for `rerank-worker`.

    `options` are its flags, and `environment` for what it finds there.
    """

    def __init__(self, line: Line, number: int, options: dict[str, Any], module: str = "worker") -> None:
        self.port = free_port()
        given = {
            "bootstrap_servers": line.broker,
            "group_id": line.group,
            "request_topic": line.requests,
            "result_topic": line.results,
            "dead_letter_topic": line.dead_letters,
            "model": SHIPPED_MODEL,
            "http_port": self.port,
            "session_timeout_s": 6,
            "commit_interval_s": 0.2,
            "on_overload": "score",  # most tests publish more at once than a budget allows
            **options,
        }
        environment = given.pop("environment", {})
        flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        log = line.folder / f"worker-{number}.log"
        super().__init__([sys.executable, "-m", module, "run", *flags], log=log, environment=environment)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of one of its pages; 0 where it does not listen (any more)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels."""
        # A whole page takes 50 times as long to parse, and tests look 20 times a second.
        lines = [line for line in self.get("/metrics")[1].splitlines(keepends=True) if name in line]
        samples = [sample for family in text_string_to_metric_families("".join(lines)) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until something holds; fail with the worker's last lines if it ends or takes too long."""
        wait_until(f"{what}; the worker said:\n{{}}", holds, timeout_s, detail=self.tail, alive=lambda: self.running)

    def until_ready(self) -> None:
        """Wait until /readyz says so."""
        self.until("the worker is ready", lambda: self.get("/readyz")[0] == 200)


class Line:
    """Topics, a group, workers, and a producer and consumers to see what they do."""

    def __init__(self, broker: str, make_topic: Callable[..., str], folder: Path, *, partitions: int = 3) -> None:
        self.broker = broker
        self.folder = folder
        self.requests = make_topic("requests", partitions=partitions, settings={"max.message.bytes": "20000000"})
        self.results = make_topic("results", partitions=partitions)
        self.dead_letters = make_topic("dead-letters")
        self.group = f"group-of-{self.requests}"
        self.partitions = [TopicPartition(self.requests, number) for number in range(partitions)]
        self.workers: list[Worker] = []
        self._producer = KafkaProducer(bootstrap_servers=broker, linger_ms=5, max_request_size=20_000_000)

    def close(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            worker.kill()
        self._producer.close()

    def start(self, *, wait: bool = True, module: str = "worker", **options: Any) -> Worker:
        """Start a worker, and wait until it is ready."""
        worker = Worker(self, len(self.workers), options, module)
        self.workers.append(worker)
        worker.start()
        if wait:
            worker.until_ready()
        return worker

    def publish(self, events: Iterable[dict[str, Any] | bytes | None], **more: Any) -> list[tuple[int, int]]:
        """Publish requests (or raw values) and return (partition, offset) of each."""
        futures = []
        for number, each in enumerate(events):
            value = json.dumps(each).encode() if isinstance(each, dict) else each
            futures.append(self._producer.send(self.requests, value, **{"key": f"k{number % 7}".encode(), **more}))
        self._producer.flush(60)
        return [(sent.partition, sent.offset) for sent in (future.get(60) for future in futures)]

    def read(
        self, topic: str, count: int, timeout_s: float = 120, *, settle_s: float = 0.3, **options: Any
    ) -> Sequence[ConsumerRecord]:
        """Read a topic from its beginning until `count` records, and `settle_s` longer to see what is too many."""
        found: list[ConsumerRecord] = []
        given = {"bootstrap_servers": self.broker, "group_id": None, "auto_offset_reset": "earliest", **options}
        with KafkaConsumer(**given) as consumer:
            numbers = consumer.partitions_for_topic(topic) or set()
            consumer.assign([TopicPartition(topic, number) for number in sorted(numbers)])
            deadline_s = time.monotonic() + timeout_s
            while time.monotonic() < deadline_s:
                for records in consumer.poll(100).values():
                    found.extend(records)
                if len(found) >= count:
                    deadline_s = min(deadline_s, time.monotonic() + settle_s)
        logs = "\n".join(worker.tail() for worker in self.workers)
        assert len(found) >= count, f"{topic}: expected {count} records, got {len(found)}; the workers said:\n{logs}"
        return found

    def committed(self) -> dict[int, int | None]:
        """Return the group's committed offset of each partition."""
        with KafkaConsumer(bootstrap_servers=self.broker, group_id=self.group, enable_auto_commit=False) as consumer:
            return {partition.partition: consumer.committed(partition) for partition in self.partitions}

    def end(self, partition: TopicPartition) -> int:
        """Return where a partition ends."""
        with KafkaConsumer(bootstrap_servers=self.broker, group_id=None) as consumer:
            end: int = consumer.end_offsets([partition])[partition]
            return end

    def count(self, topic: str) -> int:
        """Return how many records a topic has received; the embedded broker counts batches of them."""
        with KafkaConsumer(bootstrap_servers=self.broker, group_id=None) as consumer:
            numbers = consumer.partitions_for_topic(topic) or set()
            return sum(consumer.end_offsets([TopicPartition(topic, number) for number in numbers]).values())


def sources(results: Iterable[ConsumerRecord]) -> Counter[tuple[int, int]]:
    """Count the results of each source record, by partition and offset."""
    found = [json.loads(result.value)["source"] for result in results]
    return Counter((source["partition"], source["offset"]) for source in found)


def wait_until(
    what: str,
    holds: Callable[[], bool],
    timeout_s: float = 120,
    *,
    detail: Callable[[], str] = str,
    alive: Callable[[], bool] = lambda: True,
) -> None:
    """Wait until something holds, looking 20 times a second."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert alive(), f"waited for: {what.format(detail())}"
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for: {what.format(detail())}"
        time.sleep(0.05)

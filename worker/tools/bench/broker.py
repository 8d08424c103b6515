"""The broker of a bench: the one that is named, else Apache Kafka of KAFKA_HOME, else the embedded one; its topics."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from worker.exits import StopError
from worker.kafka_io import check_topics
from worker.kafka_io.connect import connect
from worker.terminal.printable import printable
from worker.tools.local.brokers import ApacheKafka, EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.kafka_io import KafkaOptions
    from worker.tools.local.brokers import Broker

# The value of --bootstrap-servers where a bench starts a broker by itself: what its help shows as the default. It must
# read as an address.
OWN = "a-broker-of-its-own"
# What a bench that makes its own topics does not ask for: `takes(…, without=OWN_TOPICS)`.
OWN_TOPICS = (
    *("group_id", "request_topic", "result_topic", "dead_letter_topic"),
    *("create_topics", "topic_partitions", "auto_offset_reset"),
)

# Compiled as it is in production, unlike the brokers of the tests.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=4"  # C2, the default of Java
# This broker answers a join, and a fetch that waits, only after half of these times.
_EMBEDDED = {"session_timeout_s": 6.0, "fetch_wait_s": 0.02}


@dataclass(frozen=True, slots=True)
class BenchBroker:
    """A broker that runs: what it is called in a report, the options of a client, its processes where they are ours."""

    name: str
    kafka: KafkaOptions
    pids: tuple[int, ...] = ()

    @contextmanager
    def topics(self, *, partitions: int = 1) -> Iterator[KafkaOptions]:
        """Make topics under names of their own and give the options with them and a group; remove them afterwards."""
        stem = f"rerank-bench-{uuid.uuid4().hex[:8]}"
        options = dataclasses.replace(
            self.kafka,
            group_id=stem,
            request_topic=f"{stem}-requests",
            result_topic=f"{stem}-results",
            dead_letter_topic=f"{stem}-dead-letters",
            create_topics=True,
            topic_partitions=partitions,
            auto_offset_reset="earliest",
        )
        try:
            check_topics(options)
            yield options
        finally:
            _delete(options)


@contextmanager
def bench_broker(kafka: KafkaOptions, environ: Mapping[str, str]) -> Iterator[BenchBroker]:
    """Give the broker that `kafka` names, or start one: Apache Kafka from KAFKA_HOME, else the embedded one.

    Raises StopError where none can be started, or the one that is named cannot be reached.
    """
    if kafka.bootstrap_servers != OWN:
        # Before topics are made, which would have to be looked for and removed: it answers, or this is where it ends.
        connect(KafkaAdminClient, kafka).close()
        yield BenchBroker(f"the broker at {kafka.bootstrap_servers}", kafka)
        return
    home = environ.get("KAFKA_HOME")
    with tempfile.TemporaryDirectory(prefix="rerank-bench-") as folder:
        place = Path(folder) / "broker"
        if home:
            with ApacheKafka(Path(home), java_options=_JAVA_OPTIONS, folder=place) as apache:
                servers = apache.bootstrap_servers
                options = dataclasses.replace(kafka, bootstrap_servers=servers)
                yield BenchBroker("Apache Kafka", options, _pids(apache))
        else:
            with EmbeddedBroker(place) as embedded:
                options = dataclasses.replace(
                    kafka,
                    bootstrap_servers=embedded.bootstrap_servers,
                    session_timeout_s=_EMBEDDED["session_timeout_s"],
                    fetch_wait_s=_EMBEDDED["fetch_wait_s"],
                )
                yield BenchBroker("the embedded broker (Tansu)", options, _pids(embedded))


def _pids(broker: Broker) -> tuple[int, ...]:
    return tuple(child.pid for child in broker.children)


def _delete(options: KafkaOptions) -> None:
    """Remove the topics; what stays on somebody's broker is named."""
    names = [options.request_topic, options.result_topic, options.dead_letter_topic]
    try:
        admin = connect(KafkaAdminClient, options)
    except StopError as error:
        _say_left(names, str(error))
        return
    try:
        if there := [name for name in admin.list_topics() if name in names]:
            admin.delete_topics(there)
    except KafkaError as error:
        _say_left(names, f"{type(error).__name__}: {error}")
    finally:
        admin.close()


def _say_left(topics: list[str], reason: str) -> None:
    print(f"the topics {', '.join(topics)} may still be there: {printable(reason)}", file=sys.stderr)

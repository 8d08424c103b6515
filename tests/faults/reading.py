"""Reads what a run has left in the topics, as a reader of committed records, into what the checker asks for."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, TopicPartition

from tests.faults import group_log
from tests.faults.history import Commit, Generation, Input, Outcome, Place
from tests.faults.load import ENDS_AS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kafka.consumer.fetcher import ConsumerRecord

    from tests.faults.history import Kind

_WITHIN_S = 30.0  # an open transaction of a dead worker is in the way until the broker ends it
# What differs between two results of one request, or two dead letters, and may.
_OWN_OF_A_RESULT = ("timing_ms", "deadline_met")
_OWN_OF_A_LETTER = ("dlq.first-failure-time",)


class Reader:
    """Reads topics of a cluster, or one partition of each, from the beginning, committed records only."""

    def __init__(self, servers: str, *topics: str, only: int | None = None) -> None:
        self._servers = servers
        self._client = _consumer(servers, "read_committed")
        self.partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(self._client.partitions_for_topic(topic) or ())
            if only in (None, number)
        ]
        self._client.assign(self.partitions)

    def close(self) -> None:
        """Read no more."""
        self._client.close()

    def take(self, timeout_s: float = 0.05) -> list[ConsumerRecord]:
        """Return what came, at the latest after this time."""
        return [record for records in self._client.poll(int(timeout_s * 1000)).values() for record in records]

    def rest(self) -> Iterator[ConsumerRecord]:
        """Give everything up to where the topics end now, also what still lies behind an open transaction."""
        with _consumer(self._servers, "read_uncommitted") as other:
            ends = other.end_offsets(self.partitions)
        give_up_s = time.monotonic() + _WITHIN_S
        while any(self._client.position(partition) < end for partition, end in ends.items()):
            yield from self.take()
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"{self._servers}: what is committed could not be read to its end, {ends}")


def _consumer(servers: str, isolation: str) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=servers,
        group_id=None,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        exclude_internal_topics=False,
        metrics_enabled=False,
        reconnect_backoff_max_ms=1000,
    )


def outcome_of(record: ConsumerRecord, kind: Kind, topic_age: int = 0, *, exact_scores: bool = True) -> Outcome:
    """Return what a record of the result or the dead-letter topic says."""
    if kind == "result":
        result = json.loads(record.value)
        if not exact_scores:
            result["ranking"] = [each["id"] for each in result["ranking"]]
        source = Place(result["source"]["partition"], result["source"]["offset"])
        shared: Any = [{name: result[name] for name in sorted(result) if name not in _OWN_OF_A_RESULT}, record.headers]
        shown = result["outcome"]
    else:
        headers = dict(record.headers)
        source = Place(int(headers["dlq.original-partition"]), int(headers["dlq.original-offset"]))
        shared = [record.value, [each for each in record.headers if each[0] not in _OWN_OF_A_LETTER]]
        shown = headers["dlq.reason"].decode()
    digest = hashlib.sha256(repr(shared).encode()).hexdigest()[:12]
    place = (record.partition, record.offset, topic_age)
    return Outcome(kind, source, record.key, record.timestamp, f"{shown} {digest}", *place)


def read_inputs(servers: str, topic: str) -> list[Input]:
    """Return every request of a topic."""
    with closing(Reader(servers, topic)) as reader:
        return [
            Input(Place(each.partition, each.offset), each.key, each.timestamp, dict(each.headers)[ENDS_AS].decode())
            for each in reader.rest()
        ]


def read_group(servers: str, group: str, topic: str) -> list[Commit | Generation]:
    """Return what a group's own log says about a topic."""
    with _consumer(servers, "read_uncommitted") as client:
        count = len(client.partitions_for_topic(group_log.TOPIC) or ())
    with closing(Reader(servers, group_log.TOPIC, only=group_log.partition_of(group, count))) as reader:
        return list(group_log.read(((each.key, each.value) for each in reader.rest()), group, topic))

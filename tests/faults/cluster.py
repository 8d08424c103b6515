"""The brokers that the suite breaks: quick to notice that somebody is gone, with doors that lead through proxies."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from queue import Queue
from typing import TYPE_CHECKING

from kafka.admin import KafkaAdminClient, NewTopic

from tests.faults.proxy import Proxy, Weather
from worker.tools.local.brokers import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    # How soon the transaction of a dead worker is out of the way, after its own time is over.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # The group's log is what is asked about commits: nothing may be compacted away.
    "log.cleaner.enable": "false",
}


class Cluster(ApacheKafka):
    """One or three brokers of Apache Kafka."""

    def __init__(
        self,
        home: Path,
        folder: Path,
        *,
        brokers: int = 1,
        proxied: Mapping[str, Sequence[int]] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            home, brokers=brokers, folder=folder, proxied=proxied, properties={**_PROPERTIES, **(properties or {})}
        )
        self._copies = brokers
        self._doors: Queue[Proxy] = Queue()

    def has_skipped_markers(self, group: str) -> bool:
        """Return whether a broker has ended a transaction of this group without a word of it in the topics."""
        logs = (log.read_text(errors="replace") for log in self.folder.glob("broker-*.log"))
        lines = (line for log in logs for line in log.splitlines())
        return any("find leader endpoint" in line and f"markers for {group}-" in line for line in lines)

    def open_doors(self, doors: Mapping[str, Proxy]) -> None:
        """Have these proxies lead to the listeners of the same names. The cluster runs already."""
        for name, proxy in doors.items():
            proxy.target = int(self.address(name).rpartition(":")[2])
            self._doors.put(proxy)

    @contextmanager
    def door(self) -> Iterator[Proxy]:
        """Have a proxy for oneself, as good as new at the end."""
        proxy = self._doors.get(timeout=60)
        try:
            yield proxy
        finally:
            proxy.weather = Weather()
            proxy.reset()
            self._doors.put(proxy)

    def make_topic(self, stem: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None) -> str:
        """Make a topic whose records bear the broker's time, and return its unique name."""
        name = f"{stem}-{uuid.uuid4().hex[:10]}"
        self.make_topic_named(name, partitions=partitions, settings=settings)
        return name

    def make_topic_named(self, name: str, *, partitions: int, settings: Mapping[str, str] | None = None) -> None:
        """Make a topic with this name."""
        given = {"message.timestamp.type": "LogAppendTime", **(settings or {})}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=self._copies, topic_configs=given)
        with KafkaAdminClient(bootstrap_servers=self.bootstrap_servers) as admin:
            admin.create_topics([topic])
            admin.wait_for_topics([name])

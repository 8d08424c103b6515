"""Apache Kafka for the pods: one broker with SCRAM at the node's address, topics and rights as the manifests say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from tests.cluster.cluster import PASSWORD, USER
from tests.deploy.strimzi import SCRAM, acls, new_topic
from worker.tools.local.brokers import ApacheKafka

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.manifests import Manifests

REQUESTS, RESULTS, DEAD_LETTERS, GROUP = "rerank-requests", "rerank-results", "rerank-dead-letters", "rerank-worker"
NO_TOPIC = "no-such-topic"  # the worker's user may read it, and it is not there
_NODE = "10.244.0.1"


class NodeKafka(ApacheKafka):
    """One broker. This side of the pods needs no login; theirs is the user of the component strimzi."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, listeners=("SASL_PLAINTEXT",), users={USER: PASSWORD}, properties=SCRAM, folder=folder)

    def make(self, manifests: Manifests) -> None:
        """Make the topics and the rights."""
        (user,) = manifests.of_kind("KafkaUser")
        user["spec"]["authorization"]["acls"].append(
            {"resource": {"type": "topic", "name": NO_TOPIC}, "operations": ["Read"]}
        )
        # The broker's clock says also when a result was there.
        clock = {"message.timestamp.type": "LogAppendTime"}
        with KafkaAdminClient(bootstrap_servers=self.bootstrap_servers) as admin:
            admin.create_topics([new_topic(topic, **clock) for topic in manifests.of_kind("KafkaTopic")])
            admin.create_acls(list(acls(user)))

    @property
    def for_pods(self) -> str:
        """Return the address that pods use."""
        return self.address("SASL_PLAINTEXT").replace("127.0.0.1", _NODE)

    def waiting(self) -> int:
        """Return how many requests are not committed: what KEDA counts."""
        with KafkaConsumer(
            bootstrap_servers=self.bootstrap_servers, group_id=GROUP, enable_auto_commit=False
        ) as client:
            numbers = [TopicPartition(REQUESTS, number) for number in client.partitions_for_topic(REQUESTS) or ()]
            ends = client.end_offsets(numbers)
            return sum(ends[number] - (client.committed(number) or 0) for number in numbers)

    def _prepare(self) -> None:
        super()._prepare()
        settings = self.folder / "broker-1.properties"
        settings.write_text(settings.read_text().replace("SASL_PLAINTEXT://127.0.0.1", f"SASL_PLAINTEXT://{_NODE}"))

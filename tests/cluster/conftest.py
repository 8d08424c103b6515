"""One cluster for all tests of it, with the image that deploy/Dockerfile builds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.cluster.cluster import Cluster, NodeKafka, can_run
from tests.cluster.load import Load
from tests.cluster.overlay import overlay
from tests.deploy.image import NAME, ROOT, Buildah
from tests.integration.line import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = ("rerank-requests", "rerank-results", "rerank-dead-letters")


@dataclass
class Place:
    """A cluster with a worker that was applied, the broker, and the lines of a report."""

    cluster: Cluster
    kafka: NodeKafka
    folder: Path
    model: str
    report: list[str] = field(default_factory=list)
    _first: int = 0

    def apply(self, *options: str, scaled: bool = False) -> None:
        """Apply the worker with these options."""
        manifests = overlay(self.folder, self.kafka.for_pods, self.model, options, scaled=scaled)
        self.cluster.apply(manifests.text)

    def load(self, *, rate: float = 10, budget_ms: float = 2_000) -> Load:
        """Return a load whose requests no other load has sent."""
        self._first += 1_000_000
        return Load(self.kafka.bootstrap_servers, TOPICS[0], self._first, rate=rate, budget_ms=budget_ms)

    def say(self, what: str, result: str) -> None:
        """Put a row into the report."""
        self.report.append(f"| {what} | {result} |")

    def until(self, what: str, ready: int, timeout_s: float = 120) -> float:
        """Wait until so many pods are ready and no other is there; return the seconds that it took."""
        began = time.monotonic()
        cluster = self.cluster

        def holds() -> bool:
            return len(cluster.ready()) == len(cluster.pods()) == ready

        wait_until(f"{what}: {{}}", holds, timeout_s, detail=lambda: cluster.kubectl("get", "pods", "-o", "wide"))
        return time.monotonic() - began


@pytest.fixture(scope="session")
def place(
    apache_kafka_home: Path, broker_logs: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Place]:
    if missing := can_run():
        pytest.skip(missing)
    buildah = Buildah(Path(os.environ.get("IMAGE_FOLDER", ROOT / "build" / "image")))
    if not buildah.has(NAME):
        pytest.skip("needs an image: make image, or IMAGE_FOLDER")
    folder = tmp_path_factory.mktemp("cluster")
    container = buildah("from", "--pull-never", NAME)
    (model,) = Path(buildah("mount", container)).glob("opt/rerank-worker/lib/*/site-packages/worker/demo/model-*")
    inside = f"/{model.relative_to(buildah('mount', container))}"
    buildah("rm", container)
    with Cluster(folder, buildah) as cluster, NodeKafka(apache_kafka_home, broker_logs / "node") as kafka:
        with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
            admin.create_topics([NewTopic(name, num_partitions=6, replication_factor=1) for name in TOPICS])
        place = Place(cluster, kafka, folder, inside)
        yield place
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    reporter.write_line("\n".join(["", *place.report]))

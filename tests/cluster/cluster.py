"""A whole Kubernetes in a network of its own: control plane, KEDA, a node that runs pods, and Apache Kafka."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.deploy.control_plane import SHARED
from tests.deploy.kubectl import Kubectl
from tests.integration.line import wait_until
from worker.tools.brokers import ApacheKafka
from worker.tools.children import Child

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.deploy.image import Buildah

NODE = "10.244.0.1"  # the node's address, where pods find the broker
NAMESPACE = "search"
USER, PASSWORD = "rerank-worker", "secret-of-the-tests"


class NodeKafka(ApacheKafka):
    """One broker with SCRAM, whose SASL_PLAINTEXT listener is at the node's address."""

    def __init__(self, home: Path, folder: Path) -> None:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        properties = {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": login,
        }
        super().__init__(
            home, listeners=("SASL_PLAINTEXT",), users={USER: PASSWORD}, properties=properties, folder=folder
        )

    @property
    def for_pods(self) -> str:
        """Return the address that pods use."""
        return self.address("SASL_PLAINTEXT").replace("127.0.0.1", NODE)

    def _prepare(self) -> None:
        super()._prepare()
        settings = self.folder / "broker-1.properties"
        settings.write_text(settings.read_text().replace("SASL_PLAINTEXT://127.0.0.1", f"SASL_PLAINTEXT://{NODE}"))


class Cluster:
    """The control plane, KEDA and a node, as a context manager; `kubectl` speaks to it."""

    def __init__(self, folder: Path, buildah: Buildah) -> None:
        self.folder = folder
        self._state = folder / "state"
        self._buildah = buildah
        self._stack = ExitStack()
        self.kubectl = Kubectl(self._state / "kubeconfig")

    def __enter__(self) -> Self:
        """Start all of it, and make a namespace that takes restricted pods alone."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of it at once."""
        self._stack.close()

    def _start(self) -> None:
        start = str(SHARED / "start")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self._stack.callback(subprocess.run, [start, "stop", str(self._state)], check=False)
        for what in ([], ["controllers"], ["keda"]):
            with (self.folder / "start.log").open("ab") as log:
                subprocess.run([start, *what, str(self._state)], check=True, stdout=log, stderr=log)
        node = Child(
            [str(SHARED / "node"), str(self._state)],
            log=self.folder / "node.log",
            environment=self._buildah.environment,
        )
        self._stack.callback(node.stop)
        node.start()
        crds = [str(path) for path in (SHARED / "crds").glob("*.yaml") if "keda.sh" not in path.name]
        self.kubectl("create", *(part for path in crds for part in ("-f", path)))
        wait_until("the node is up: {}", lambda: "is up" in node.tail(), 60, detail=node.tail)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.make("v1", "Namespace", {"name": NAMESPACE, "labels": labels})
        self.kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")
        secret = {"stringData": {"RERANK_SASL_USERNAME": USER, "RERANK_SASL_PASSWORD": PASSWORD}}
        self.make("v1", "Secret", {"name": "rerank-worker-kafka"}, **secret)

    def make(self, version: str, kind: str, metadata: dict[str, Any], **body: Any) -> None:
        """Create one resource."""
        self.kubectl(
            "create", "-f", "-", given=json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, **body})
        )

    def apply(self, text: str) -> None:
        """Apply manifests as a user does."""
        self.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", given=text)

    def pods(self) -> list[dict[str, Any]]:
        """Return the workers' pods, those that are leaving too."""
        found: list[dict[str, Any]] = json.loads(
            self.kubectl("get", "pods", "-l", "app.kubernetes.io/name=rerank-worker", "-o", "json")
        )["items"]
        return found

    def ready(self) -> list[str]:
        """Return the names of the pods that are ready and stay."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in pod.get("status", {}).get("conditions", [])
            )
        ]

    def log_of(self, pod: str) -> str:
        """Return what a pod's worker has said, in all its runs."""
        return (self._state / "logs" / f"{NAMESPACE}_{pod}_worker.log").read_text()


def can_run() -> str | None:
    """Return what is missing for a cluster here, None where nothing is."""
    if os.geteuid() != 0 or not (SHARED / "node").is_file():
        return "needs root and a node that runs pods (../shared/kubernetes)"
    with open("/proc/net/route", encoding="utf-8") as routes:  # noqa: PTH123 - a file of the kernel
        if len(routes.readlines()) > 1:
            return "needs a network of its own: make cluster-test"
    return None

"""A whole Kubernetes in a network of its own: control plane, KEDA, and a node that runs the pods of a real image."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.cluster.pod_watch import PodWatch
from tests.deploy.control_plane import SHARED
from tests.deploy.image import NAME
from tests.deploy.kubectl import Kubectl
from tests.integration.line import wait_until
from tests.needs import lacking
from worker.tools.children import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.deploy.image import Buildah

NAMESPACE = "search"
USER, PASSWORD = "rerank-worker", "secret-of-the-tests"
_LOG_LINES = 25


def missing() -> str | None:
    """Return what is missing for a cluster on this machine, None where nothing is."""
    if not (SHARED / "node").is_file():
        return "make cluster-test needs a node that runs pods (../shared/kubernetes)"
    return lacking("cluster-test")


class Cluster:
    """The control plane, KEDA and a node, as a context manager; `kubectl` speaks to it."""

    def __init__(self, folder: Path, buildah: Buildah) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._buildah = buildah
        self._stack = ExitStack()
        environment = buildah.environment
        self._node = Child([str(SHARED / "node"), str(self._state)], log=folder / "node.log", environment=environment)
        self.kubectl = Kubectl(folder / "kubeconfig")
        self.pod_watch = PodWatch(self.kubectl, folder / "pods.json")

    def __enter__(self) -> Self:
        """Start all of it, and make a namespace for the worker."""
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
            with (self._folder / "start.log").open("ab") as log:
                subprocess.run([start, *what, str(self._state)], check=True, stdout=log, stderr=log)
        # A copy: kubectl writes it anew, and the node reads it as `start` has written it.
        shutil.copyfile(self._state / "kubeconfig", self.kubectl.kubeconfig)
        crds = [path for path in (SHARED / "crds").glob("*.yaml") if "keda.sh" not in path.name]  # those are there
        self.kubectl("create", *(part for path in crds for part in ("-f", str(path))))
        self.make_namespace(NAMESPACE, PASSWORD)
        self.kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")
        self._stack.callback(self._remove_containers)
        self._stack.callback(self._node.stop)
        self._node.start()
        node = self._node
        wait_until("it is up: {}", lambda: "is up" in node.tail(), detail=node.tail, alive=lambda: node.running)
        self._stack.enter_context(self.pod_watch)

    def _remove_containers(self) -> None:
        """Remove what the node has made of the image for itself."""
        for name in self._buildah("containers", "--quiet", "--filter", f"ancestor={NAME}").split():
            self._buildah("rm", name)

    def make_namespace(self, name: str, password: str) -> None:
        """Make a namespace that takes restricted pods alone, with the login to Kafka in it."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.make("v1", "Namespace", {"name": name, "labels": labels})
        secret = {"RERANK_SASL_USERNAME": USER, "RERANK_SASL_PASSWORD": password}
        self.make("v1", "Secret", {"name": "rerank-worker-kafka", "namespace": name}, stringData=secret)

    def make(self, version: str, kind: str, metadata: dict[str, Any], **body: Any) -> None:
        """Create one resource."""
        resource = {"apiVersion": version, "kind": kind, "metadata": metadata, **body}
        self.kubectl("create", "-f", "-", given=json.dumps(resource))

    def apply(self, text: str, namespace: str = NAMESPACE) -> None:
        """Apply manifests as docs/deploy.md says."""
        self.kubectl("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", "-", given=text)

    def pods(self, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Return the workers' pods, those that are leaving too."""
        label = ("app.kubernetes.io/name", "rerank-worker")
        return [
            pod
            for pod in self.pod_watch.pods()
            if pod["metadata"]["namespace"] == namespace and label in pod["metadata"].get("labels", {}).items()
        ]

    def ready(self) -> list[str]:
        """Return the names of the pods that are ready and stay."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and {"Ready": "True"}.items()
            <= {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}.items()
        ]

    def uids(self) -> set[str]:
        """Return what tells the workers' pods from their predecessors, which may have had the same names."""
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def uid_of(self, pod: str) -> str:
        """Return the uid of a pod."""
        return str(self._pod(pod)["metadata"]["uid"])

    def run_once(self, image: str, *words: str) -> str:
        """Run an image's command to its end in a pod, and return what it has said."""
        rights = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container = {"name": "worker", "image": image, "args": words, "securityContext": rights}
        user = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
        spec = {"restartPolicy": "Never", "containers": [container], "securityContext": user}
        self.make("v1", "Pod", {"name": "once"}, spec=spec)
        ended = "jsonpath={.status.phase}=Succeeded"
        self.kubectl("wait", "pod/once", f"--for={ended}", "--timeout=120s", timeout_s=130)
        self.kubectl("delete", "pod", "once")
        return "\n".join(self.log_of("once"))

    def process_of(self, pod: str) -> int:
        """Return the first process of a pod's worker, as it is numbered out here."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                numbers = next(line for line in _lines(process / "status") if line.startswith("NSpid:")).split()
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if numbers[-1] == "1" and f"HOSTNAME={pod}".encode() in environment:
                return int(process.name)
        raise AssertionError(f"nothing runs in {pod}; the node says:\n{self._node.tail()}")

    def force_delete(self, pod: str) -> float:
        """Delete a pod without grace, and end what it runs as a kubelet does, but without a SIGTERM before.

        Return when it was killed, in seconds since the epoch. The node takes no notice of a pod that is gone from one
        moment to the next. It would start the container again: the pod's network is taken away, so that it cannot. And
        it would report on the pod by its name: the pod of a StatefulSet, whose successor has that name, is killed
        first, and deleted with a second's grace.
        """
        process = self.process_of(pod)
        if self._pod(pod)["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet":
            os.kill(process, signal.SIGKILL)
            killed_s = time.time()
            self.kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")
            return killed_s
        network = subprocess.run(["ip", "netns", "identify", str(process)], check=True, capture_output=True, text=True)
        self.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        subprocess.run(["ip", "netns", "delete", network.stdout.strip()], check=True)
        os.kill(process, signal.SIGKILL)
        return time.time()

    def log_of(self, pod: str, namespace: str = NAMESPACE) -> list[str]:
        """Return what a pod's worker has said, in all its runs."""
        return _lines(self._state / "logs" / f"{namespace}_{pod}_worker.log")

    def said(self, pod: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Return the lines of a worker's log; those that the node itself has put there are none."""
        return [json.loads(line) for line in self.log_of(pod, namespace) if line.startswith("{")]

    def container_of(self, pod: str) -> dict[str, Any]:
        """Return what the node says of a pod's worker."""
        (container,) = self._pod(pod)["status"]["containerStatuses"]
        return dict(container)

    def _pod(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.pods() if each["metadata"]["name"] == name]
        return found

    def story(self) -> Iterator[tuple[str, str]]:
        """Yield what helps to understand a failure, with a heading for each."""
        yield "pods", self.kubectl.ask("get", "pods,hpa,scaledobjects", "-A", "-o", "wide").stdout
        events = ("get", "events", "-A", "--sort-by=.lastTimestamp")
        yield "events", "\n".join(self.kubectl.ask(*events).stdout.splitlines()[-_LOG_LINES:])
        yield "node", self._node.tail()
        logs = (self._state / "logs").glob("*_worker.log")
        for path in sorted(logs, key=lambda path: path.stat().st_mtime):
            yield path.name, "\n".join(_lines(path)[-_LOG_LINES:])


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()

"""The manifests as kustomize renders them: each overlay alone, and with every component that it can be given."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.deploy.kubectl import KUBECTL

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("cpu", "gpu", "exactly-once")
COMPONENTS = ("model-volume", "keda", "strimzi")  # strimzi is listed behind keda, which it tells how to log in
CASES = (*OVERLAYS, *(f"{overlay} with all components" for overlay in OVERLAYS), "example")


@dataclass(frozen=True)
class Manifests:
    """What one kustomization makes."""

    text: str

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Every resource, in the order of the text."""
        return list(yaml.safe_load_all(self.text))

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the resources of these kinds."""
        return [resource for resource in self.resources if resource["kind"] in kinds]

    @property
    def workload(self) -> dict[str, Any]:
        """The one Deployment or StatefulSet."""
        (workload,) = self.of_kind("Deployment", "StatefulSet")
        return workload

    @property
    def pod(self) -> dict[str, Any]:
        """A Pod made of the template."""
        template = self.workload["spec"]["template"]
        metadata = {**template["metadata"], "name": "rerank-worker-0"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    @property
    def worker(self) -> dict[str, Any]:
        """The worker's container."""
        (worker,) = self.pod["spec"]["containers"]
        return dict(worker)

    def environment(self) -> dict[str, str]:
        """Return the variables that the worker finds, as a kubelet makes them; a Secret's values are `secret`."""
        (config,) = self.of_kind("ConfigMap")
        found: dict[str, str] = dict(config["data"])
        for variable in self.worker.get("env", []):
            source = variable.get("valueFrom", {})
            value = variable.get("value", "secret")
            if "fieldRef" in source:
                value = self.pod["metadata"][source["fieldRef"]["fieldPath"].removeprefix("metadata.")]
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[variable["name"]] = value
        return found


def render(case: str, folder: Path) -> Manifests:
    """Return what a case's kustomization makes; a combination is put together in `folder`."""
    if case == "example":
        return build(KUBERNETES / "example")
    overlay, _, more = case.partition(" with ")
    if not more:
        return build(KUBERNETES / "overlays" / overlay)
    # kustomize takes no absolute paths.
    place = os.path.relpath(KUBERNETES, folder.resolve())
    combination = {
        "resources": [f"{place}/overlays/{overlay}"],
        "components": [f"{place}/components/{name}" for name in COMPONENTS],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(combination), encoding="utf-8")
    return build(folder)


def build(folder: Path) -> Manifests:
    """Return what the kustomization in a folder makes."""
    built = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert built.returncode == 0, built.stderr
    assert not built.stderr, f"kustomize warns: {built.stderr}"
    return Manifests(built.stdout)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every manifest, the compose file and the Dockerfile."""
    for path in [*sorted(KUBERNETES.rglob("*.yaml")), DEPLOY / "compose.yaml", DEPLOY / "Dockerfile"]:
        yield path, path.read_text(encoding="utf-8")

"""The manifests as shipped, with what this cluster must set: addresses, the model that ships, smaller resources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import yaml

from tests.deploy.manifests import KUBERNETES, Manifests, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MODEL = "/opt/rerank-worker/lib/python3.11/site-packages/worker/demo/model-minilm-l6"
# Six workers share two cores here.
_SMALLER = """
- {op: replace, path: /spec/template/spec/containers/0/resources/requests/cpu, value: 500m}
- {op: replace, path: /spec/template/spec/containers/0/resources/requests/memory, value: 1Gi}
"""
# Shipped, a worker may leave once none was needed for ten minutes, and then one in two: half an hour for this test.
SCALE_DOWN = {
    "stabilizationWindowSeconds": 20,
    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}],
}
_SCALED = f"""
- {{op: replace, path: /spec/triggers/0/metadata/bootstrapServers, value: "%s"}}
- {{op: replace, path: /spec/triggers/0/metadata/sasl, value: scram_sha512}}
- {{op: replace, path: /spec/triggers/1/metadata/serverAddress, value: "%s"}}
- {{op: replace, path: /spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown, value: {SCALE_DOWN}}}
"""


def render_for(
    broker: str, folder: Path, *, options: Sequence[str], overlay: str = "cpu", prometheus: str | None = None
) -> Manifests:
    """Return an overlay for a broker at this address, with more options; with a Prometheus, scaled by KEDA."""
    place = os.path.relpath(KUBERNETES, folder.resolve())
    literals = [
        f"RERANK_BOOTSTRAP_SERVERS={broker}",
        f"RERANK_MODEL={_MODEL}",
        "RERANK_SECURITY_PROTOCOL=SASL_PLAINTEXT",
        "RERANK_SASL_MECHANISM=SCRAM-SHA-512",
        "RERANK_CPU_THREADS=1",
        *options,
    ]
    patches: list[dict[str, object]] = [{"target": {"group": "apps", "name": "rerank-worker"}, "patch": _SMALLER}]
    if prometheus is not None:
        patches.append({"target": {"kind": "ScaledObject"}, "patch": _SCALED % (broker, prometheus)})
    kustomization = {
        "resources": [f"{place}/overlays/{overlay}"],
        "components": [f"{place}/components/keda"] if prometheus is not None else [],
        "configMapGenerator": [{"name": "rerank-worker", "behavior": "merge", "literals": literals}],
        "patches": patches,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return build(folder)

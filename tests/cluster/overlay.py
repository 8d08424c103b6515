"""The manifests as shipped, with what the test's cluster needs: addresses, the demo model, smaller resources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import yaml

from tests.deploy.manifests import KUBERNETES, Manifests, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SMALLER = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
_SCALED = """
- {op: replace, path: /spec/triggers/0/metadata/bootstrapServers, value: "%s"}
- {op: replace, path: /spec/triggers/0/metadata/sasl, value: scram_sha512}
# No Prometheus runs here.
- {op: remove, path: /spec/triggers/1}
# Ten minutes and two are for a cluster that lives longer than a test.
- op: replace
  path: /spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown
  value: {stabilizationWindowSeconds: 20, policies: [{type: Pods, value: 1, periodSeconds: 15}]}
- {op: replace, path: /spec/maxReplicaCount, value: 4}
"""


def overlay(folder: Path, broker: str, model: str, options: Sequence[str] = (), *, scaled: bool = False) -> Manifests:
    """Return the overlay `cpu` for a broker at this address, with more options, and with KEDA if wanted."""
    place = os.path.relpath(KUBERNETES, folder.resolve())
    literals = [
        f"RERANK_BOOTSTRAP_SERVERS={broker}",
        f"RERANK_MODEL={model}",
        "RERANK_SECURITY_PROTOCOL=SASL_PLAINTEXT",
        "RERANK_SASL_MECHANISM=SCRAM-SHA-512",
        "RERANK_CPU_THREADS=1",
        *options,
    ]
    smaller = [{"op": "replace", "path": "/spec/template/spec/containers/0/resources", "value": _SMALLER}]
    patches = [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(smaller)}]
    if scaled:
        patches.append({"target": {"kind": "ScaledObject"}, "patch": _SCALED % broker})
    kustomization = {
        "resources": [f"{place}/overlays/cpu"],
        "components": [f"{place}/components/keda"] if scaled else [],
        "configMapGenerator": [{"name": "rerank-worker", "behavior": "merge", "literals": literals}],
        "patches": patches,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return build(folder)

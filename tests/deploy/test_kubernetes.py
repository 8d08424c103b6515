"""The manifests of deploy/kubernetes: taken by a real API server, and true to the code of the worker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
import yaml
from kubernetes_validate import validate

from tests.deploy.control_plane import ControlPlane, definitions, programs
from tests.deploy.manifests import CASES, KUBERNETES, Manifests, render, texts
from worker import settings
from worker.dead_letters import REASONS
from worker.metrics import Metrics
from worker.options import options as declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CUSTOM = ("keda.sh", "monitoring.coreos.com", "kafka.strimzi.io")
_VERSION = "1.36"
_CLOSING_S = 10  # beside the drain timeout, by docs/operations.md


@pytest.fixture(scope="session", params=CASES)
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return render(request.param, tmp_path_factory.mktemp("kustomization"))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control-plane")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl on the PATH (Debian: openssl)")
    found, crds = programs(folder), definitions()
    if found is None or crds is None:
        pytest.skip("needs etcd and kube-apiserver (KUBEBUILDER_ASSETS) and resource definitions (KUBERNETES_CRDS)")
    with ControlPlane(found, folder) as plane:
        plane.kubectl("create", "-f", str(crds))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane, manifests: Manifests) -> Iterator[str]:
    name: str = manifests.workload["metadata"].get("namespace", "rerank")
    _restricted(control_plane, name)
    yield name
    control_plane.kubectl("delete", "-n", name, "-f", "-", given=manifests.text)


def _restricted(plane: ControlPlane, name: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    plane.kubectl("apply", "-f", "-", given=json.dumps(body))


def test_the_control_plane_takes_every_resource_and_admits_a_pod_where_only_restricted_ones_are(
    control_plane: ControlPlane, manifests: Manifests, namespace: str
) -> None:
    said = control_plane.kubectl(
        *("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", "-"), given=manifests.text
    )
    assert len(said.splitlines()) == len(manifests.resources)
    control_plane.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-"),
        given=json.dumps(manifests.pod),
    )


def test_the_control_plane_refuses_a_pod_that_is_not_restricted(control_plane: ControlPlane) -> None:
    pod = render("cpu", KUBERNETES).pod
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    _restricted(control_plane, "refusing")
    answer = control_plane.kubectl.ask("create", "--dry-run=server", "-n", "refusing", "-f", "-", given=json.dumps(pod))
    assert answer.returncode != 0
    assert "unrestricted capabilities" in answer.stderr


def test_the_control_plane_refuses_a_field_that_a_scaled_object_does_not_have(control_plane: ControlPlane) -> None:
    scaled = next(yaml.safe_load_all((KUBERNETES / "components" / "keda" / "scaled_object.yaml").read_text()))
    scaled["spec"]["coolDownPeriod"] = 1
    answer = control_plane.kubectl.ask(
        *("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"), given=json.dumps(scaled)
    )
    assert answer.returncode != 0
    assert "coolDownPeriod" in answer.stderr


def test_what_kubernetes_itself_defines_is_valid_by_its_schema(manifests: Manifests) -> None:
    for resource in [*manifests.resources, manifests.pod]:
        if not resource["apiVersion"].startswith(_CUSTOM):
            validate(resource, _VERSION, strict=True)


def test_every_variable_is_an_option_and_has_a_value_that_it_takes(manifests: Manifests) -> None:
    environment = manifests.environment()
    assert settings.unknown_variables(environment) == []
    settings.load({}, environment)


def test_every_variable_and_metric_that_deploy_names_exists() -> None:
    families = list(Metrics(REASONS).registry.collect())
    metrics = {family.name for family in families} | {"rerank_build_info"}
    metrics |= {sample.name for family in families for sample in family.samples}
    options = {option.variable for option in declared(settings.group_types())} | {"RERANK_CONFIG"}
    for path, text in texts():
        if path.is_relative_to(KUBERNETES):
            assert set(re.findall(r"\brerank_[a-z_]+", text)) <= metrics, path
        assert set(re.findall(r"\bRERANK_[A-Z_]+", text)) <= options, path


def test_a_pod_has_more_time_to_end_than_the_worker_may_take(manifests: Manifests) -> None:
    drain_s = settings.load({}, manifests.environment()).loop.drain_timeout_s
    assert manifests.pod["spec"]["terminationGracePeriodSeconds"] > drain_s + _CLOSING_S


def test_the_container_listens_where_the_probes_the_service_and_prometheus_look(manifests: Manifests) -> None:
    (port,) = manifests.worker["ports"]
    assert port["containerPort"] == settings.load({}, manifests.environment()).server.http_port
    (service,) = manifests.of_kind("Service")
    (monitor,) = manifests.of_kind("PodMonitor")
    looked_at = [probe["httpGet"]["port"] for name, probe in manifests.worker.items() if name.endswith("Probe")]
    looked_at += [service["spec"]["ports"][0]["targetPort"], monitor["spec"]["podMetricsEndpoints"][0]["port"]]
    assert looked_at == [port["name"]] * 5


def test_every_selector_finds_the_pods_and_none_finds_all_there_are(manifests: Manifests) -> None:
    labels = manifests.pod["metadata"]["labels"].items()
    selectors = [
        resource["spec"].get("selector") or resource["spec"].get("podSelector")
        for resource in manifests.of_kind(
            "PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "Deployment", "StatefulSet"
        )
    ]
    spread = manifests.pod["spec"]["topologySpreadConstraints"]
    selectors += [constraint["labelSelector"] for constraint in spread]
    (service,) = manifests.of_kind("Service")
    found = [selector["matchLabels"] for selector in selectors] + [service["spec"]["selector"]]
    assert len(found) == 7
    assert all(one and one.items() <= labels for one in found)


def test_the_network_policy_lets_the_worker_out_to_public_addresses_alone_whether_by_ipv4_or_by_ipv6(
    manifests: Manifests,
) -> None:
    (policy,) = manifests.of_kind("NetworkPolicy")
    blocks = [to["ipBlock"] for rule in policy["spec"]["egress"] for to in rule["to"] if "ipBlock" in to]

    def is_let_out(text: str) -> bool:
        address = ip_address(text)
        return any(
            address in ip_network(block["cidr"]) and not any(address in ip_network(each) for each in block["except"])
            for block in blocks
        )

    assert all(map(is_let_out, ["8.8.8.8", "2606:4700::1111"]))
    # Of pods, nodes and carriers, and where clouds give out credentials: AWS has an IPv6 address for that, too.
    private = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00:ec2::254", "fe80::1"]
    assert not any(map(is_let_out, private))


def test_keda_scales_what_is_there_on_the_worker_s_own_group_and_topic(manifests: Manifests) -> None:
    for scaled in manifests.of_kind("ScaledObject"):
        environment = manifests.environment()
        lag = scaled["spec"]["triggers"][0]["metadata"]
        target = scaled["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == (manifests.workload["kind"], manifests.workload["metadata"]["name"])
        assert lag["bootstrapServers"] == environment["RERANK_BOOTSTRAP_SERVERS"]
        assert lag["consumerGroup"] == environment["RERANK_GROUP_ID"]
        assert lag["topic"] == environment["RERANK_REQUEST_TOPIC"]
        assert "replicas" not in manifests.workload["spec"]


def test_every_container_of_a_pod_has_the_worker_s_image(manifests: Manifests) -> None:
    containers = [*manifests.pod["spec"].get("initContainers", []), *manifests.pod["spec"]["containers"]]
    assert {container["image"] for container in containers} == {manifests.worker["image"]}


def test_the_model_s_init_container_leaves_it_where_the_worker_looks_offline(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / commit
    shutil.copytree(KUBERNETES.parent.parent / "worker" / "demo" / "model-minilm-l6", snapshot)
    (init,) = yaml.safe_load((KUBERNETES / "components" / "model-volume" / "model.yaml").read_text())["spec"][
        "template"
    ]["spec"]["initContainers"]

    def fetch(**variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "RERANK_MODEL": "owner/name"}
        command = [sys.executable, *init["command"][1:]]
        return subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, check=False, timeout=60
        )

    assert fetch(RERANK_REVISION=commit).stdout.strip() == str(snapshot)
    refused = fetch(RERANK_REVISION="main")
    assert refused.returncode != 0
    assert refused.stderr == "RERANK_REVISION: expected a commit, 40 hexadecimal digits, got 'main'\n"


def test_checkov_finds_nothing_that_has_no_reason_beside_it(tmp_path: Path) -> None:
    checkov = os.environ.get("CHECKOV") or shutil.which("checkov")
    if checkov is None:
        pytest.skip("needs checkov: make check-deploy installs it, or set CHECKOV")
    for number, case in enumerate(CASES):
        (tmp_path / f"case-{number}").mkdir()
        (tmp_path / f"{case}.yaml").write_text(render(case, tmp_path / f"case-{number}").text)
        shutil.rmtree(tmp_path / f"case-{number}")
    command = [checkov, "--framework", "kubernetes", "--directory", str(tmp_path), "--output", "json"]
    # CKV_K8S_21: which namespace, whoever applies an overlay says.
    command += ["--skip-download", "--skip-check", "CKV_K8S_21"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    found = json.loads(said.stdout)
    failed = {
        f"{check['check_id']} {check['file_path']}: {check['check_name']}"
        for check in found["results"]["failed_checks"]
    }
    assert failed == set()
    assert found["summary"]["passed"] > 50 * len(CASES)

"""The worker in Kubernetes: applied, updated, deleted, stopped and scaled under load, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.cluster import NAMESPACE, PASSWORD
from tests.cluster.node_kafka import NO_TOPIC
from tests.cluster.site import GRACE_S, Site
from tests.deploy.prometheus import Prometheus
from worker.exits import Exit

if TYPE_CHECKING:
    from typing import Any

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]

_LATE = 0.05  # the share of requests that may be outside their budget of a second during a rolling update
_FIRST = 20  # requests before the first worker
_BACKLOG = 400  # more than six times lagThreshold
_SAID_CHARS = 100  # of a line, in the table
_CHANGE = "RERANK_MAX_TEXT_CHARS=10000"  # of an option, which rolls the pods


@pytest.fixture(scope="session")
def running(site: Site) -> Site:
    """The worker, applied while requests come, and ready."""
    with site.load() as load:
        site.until("requests wait", lambda: len(load.sent) > _FIRST)
        began_s = time.time()
        site.apply()
        site.until_ready(2)
        ready_s = time.time() - began_s
        site.until("an event is reranked", lambda: any(each["outcome"] == "reranked" for _, each in load.results()))
    outcome = load.outcome()
    assert (outcome.lost, outcome.wrong) == (0, [])
    first_s = min(at_ms for at_ms, each in load.found if each["outcome"] == "reranked") / 1000 - began_s
    took = f"{first_s:.1f} s to the first reranked event, {ready_s:.1f} s until both pods were ready"
    site.table.add("`kubectl apply`, with the image on the node", took)
    return site


def test_after_apply_pods_run_as_a_user_without_rights_on_a_root_that_cannot_be_written(running: Site) -> None:
    for pod in running.cluster.ready():
        process = running.cluster.process_of(pod)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
        assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")
        script = "for place in / /opt/rerank-worker /usr /etc /cache /tmp; do test -w $place && echo $place; done; true"
        inside = ("nsenter", f"--target={process}", "--mount", "--root", "--setuid=10001", "--setgid=10001", "--")
        done = subprocess.run([*inside, "sh", "-c", script], check=True, capture_output=True, text=True)
        assert done.stdout.split() == ["/cache", "/tmp"]


def test_a_rolling_update_loses_nothing_and_keeps_all_but_a_few_within_their_budgets(running: Site) -> None:
    old = running.cluster.ready()
    with running.under_load("a rolling update of two pods") as scenario:
        began_s = time.monotonic()
        running.apply(_CHANGE)
        running.cluster.kubectl("rollout", "status", "deployment/rerank-worker", "--timeout=200s", timeout_s=210)
        running.until_ready(2, without=old)
        scenario.took = f"{time.monotonic() - began_s:.0f} s"
    assert scenario.outcome is not None
    assert scenario.outcome.late_share < _LATE, scenario.outcome


def test_a_pod_that_is_deleted_with_grace_is_replaced_and_nothing_is_lost(running: Site) -> None:
    victim = running.cluster.ready()[0]
    with running.under_load("`kubectl delete pod`") as scenario:
        began_s = time.monotonic()
        running.cluster.kubectl("delete", "pod", victim, timeout_s=GRACE_S + 15)
        gone_s = time.monotonic() - began_s
        running.until_ready(2, without=[victim])
        scenario.took = f"{gone_s:.0f} s until it was gone, {time.monotonic() - began_s:.0f} s until another was ready"
    assert _said(running, victim)[-1]["event"] == "stopped"


def test_a_pod_that_is_deleted_by_force_is_replaced_and_nothing_is_lost(running: Site) -> None:
    victim = running.cluster.ready()[0]
    with running.under_load("`kubectl delete pod --grace-period=0 --force`") as scenario:
        scenario.killed.add(victim)
        began_s = time.monotonic()
        running.cluster.force_delete(victim)
        running.until_ready(2, without=[victim])
        scenario.took = f"{time.monotonic() - began_s:.0f} s until another was ready"
    assert "stopping" not in {line.get("event") for line in _said(running, victim)}


def test_a_worker_that_stands_still_is_restarted_by_its_liveness_probe_and_nothing_is_lost(running: Site) -> None:
    victim = running.cluster.ready()[0]
    with running.under_load("a worker stands still (SIGSTOP)") as scenario:
        scenario.killed.add(victim)
        began_s = time.monotonic()
        os.kill(running.cluster.process_of(victim), signal.SIGSTOP)
        running.until("it is not ready", lambda: victim not in running.cluster.ready())
        unready_s = time.monotonic() - began_s
        running.until("it was restarted", lambda: bool(_container(running, victim)["restartCount"]), 200)
        restarted_s = time.monotonic() - began_s
        running.until_ready(2)
        ready_s = time.monotonic() - began_s
        scenario.took = (
            f"{unready_s:.0f} s until not ready, {restarted_s:.0f} s until restarted, {ready_s:.0f} s in all"
        )
    assert _container(running, victim)["lastState"]["terminated"]["reason"] == "livenessProbeFailed"


@pytest.mark.parametrize(
    ("fault", "password", "options", "ends"),
    [
        ("wrong-password", "wrong", (), (Exit.LOGIN, "refused the login")),
        ("missing-topic", PASSWORD, (f"RERANK_REQUEST_TOPIC={NO_TOPIC}",), (Exit.TOPIC, NO_TOPIC)),
    ],
    ids=["wrong password", "missing topic"],
)
def test_workers_that_cannot_start_are_not_ready_and_say_why_in_one_line(
    site: Site, fault: str, password: str, options: tuple[str, ...], ends: tuple[Exit, str]
) -> None:
    site.cluster.make_namespace(fault, password)
    began_s = time.monotonic()
    site.apply(*options, namespace=fault)

    def both_wait_for_their_restart() -> bool:
        containers = [each for pod in site.cluster.pods(fault) for each in pod["status"].get("containerStatuses", [])]
        assert not any(each["ready"] for each in containers)
        reasons = [each["state"].get("waiting", {}).get("reason") for each in containers]
        return reasons == ["CrashLoopBackOff"] * 2

    site.until("both pods are in CrashLoopBackOff", both_wait_for_their_restart)
    took_s = time.monotonic() - began_s
    pods = site.cluster.pods(fault)
    troubles = [_troubles(site, fault, pod) for pod in pods]
    site.cluster.kubectl("delete", "deployment", "rerank-worker", "-n", fault)
    site.until("they are gone", lambda: not site.cluster.pods(fault))
    status, reason = ends
    for pod, trouble in zip(pods, troubles, strict=True):
        (container,) = pod["status"]["containerStatuses"]
        assert container["lastState"]["terminated"]["exitCode"] == status
        assert {(line["event"], line["status"]) for line in trouble} == {("ended", status)}, trouble
        assert reason in trouble[0]["message"]
    said = troubles[0][0]["message"][:_SAID_CHARS]
    site.table.add(f"a {fault.replace('-', ' ')}", f"{took_s:.0f} s; not ready, status {status}: “{said} …”")


def _troubles(site: Site, namespace: str, pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a worker has said of its troubles; the client warns that this login is not encrypted."""
    lines = _said(site, pod["metadata"]["name"], namespace)
    return [line for line in lines if line["level"] not in {"info", "warning"}]


def test_keda_brings_six_workers_for_a_backlog_and_takes_four_away_and_nothing_is_lost(
    running: Site, tmp_path: Path
) -> None:
    # Wherever a pod may come to be: this Prometheus cannot ask Kubernetes, as the operator's does.
    with Prometheus((f"10.244.1.{number}:9464" for number in range(2, 100)), tmp_path) as prometheus:
        with running.under_load("KEDA is added to workers that run") as scenario:
            # As docs/deploy.md has it: the number of workers is no longer of the manifests then.
            running.cluster.kubectl("scale", "deployment/rerank-worker", "--replicas=3")
            running.apply(prometheus=prometheus.url)
            assert running.cluster.kubectl("get", "deployment", "-o", "jsonpath={.items[*].spec.replicas}") == "3"
            running.cluster.kubectl("wait", "scaledobject/rerank-worker", "--for=condition=Ready", "--timeout=60s")
            scenario.took = f"{running.until_ready(2):.0f} s until there were the two that it wants"
        _scale_up(running)
        with running.under_load("no backlog: from six workers to two") as scenario:
            scenario.took = f"{running.until_ready(2, 300):.0f} s"


def _scale_up(running: Site) -> None:
    """Keep large requests waiting until all workers are there, and then have them done."""
    load = running.load(budget_ms=600_000, candidates=20, words=40)
    began_s = time.monotonic()

    def all_are_there() -> bool:
        if running.kafka.waiting() < _BACKLOG:
            load.publish(100)
        load.results()
        return len(running.cluster.ready()) == 6

    up_s = running.until("six workers are ready", all_are_there, 240)
    outcome = load.outcome(within_s=180)
    done_s = time.monotonic() - began_s
    running.table.add("a backlog: from two workers to six", f"{up_s:.0f} s; done after {done_s:.0f} s", outcome)
    assert (outcome.lost, outcome.wrong) == (0, [])


def test_a_rolling_update_of_exactly_once_pods_gives_each_request_one_result(site: Site) -> None:
    site.cluster.kubectl("delete", "scaledobjects,deployments", "--all")
    site.until("no pod is left", lambda: not site.cluster.pods())
    site.apply(overlay="exactly-once")
    site.until_ready(2)
    with site.under_load("exactly-once: a rolling update of two pods") as scenario:
        began_s = time.monotonic()
        site.apply(_CHANGE, overlay="exactly-once")
        site.cluster.kubectl("rollout", "status", "statefulset/rerank-worker", "--timeout=200s", timeout_s=210)
        site.until_ready(2)
        scenario.took = f"{time.monotonic() - began_s:.0f} s"
    assert scenario.outcome is not None
    assert scenario.outcome.repeated == 0


def _container(site: Site, pod: str) -> dict[str, Any]:
    (found,) = [each for each in site.cluster.pods() if each["metadata"]["name"] == pod]
    (container,) = found["status"]["containerStatuses"]
    return dict(container)


def _said(site: Site, pod: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """Return the lines of a worker's log; those that the node itself has put there are none."""
    return [json.loads(line) for line in site.cluster.log_of(pod, namespace) if line.startswith("{")]

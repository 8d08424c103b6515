"""The worker in Kubernetes: started, updated, deleted, broken and scaled under load, with nothing lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from tests.cluster.conftest import TOPICS, Place
from tests.integration.line import wait_until

if TYPE_CHECKING:
    from tests.cluster.load import Load, Outcome

pytestmark = [pytest.mark.apache, pytest.mark.timeout(500)]

_GRACE_S = 45


@pytest.fixture(scope="module")
def running(place: Place) -> Place:
    """The worker, applied and ready; how long that took is in the report."""
    load, producer = place.load(), KafkaProducer(bootstrap_servers=place.kafka.bootstrap_servers)
    load.publish(producer, 10)
    producer.close()
    began = time.monotonic()
    place.apply()
    assert load.outcome(*TOPICS[1:]).lost == 0
    first_s = time.monotonic() - began
    place.until("two pods are ready", 2)
    ready_s = time.monotonic() - began
    place.say("apply, to the first reranked events", f"{first_s:.0f} s; both pods ready after {ready_s:.0f} s")
    return place


def _outcome(place: Place, load: Load) -> Outcome:
    found = load.outcome(*TOPICS[1:])
    assert found.lost == 0, "\n".join(place.cluster.log_of(name)[-2000:] for name in place.cluster.ready())
    return found


def test_a_rolling_update_loses_nothing_and_keeps_most_within_their_budgets(running: Place) -> None:
    old = set(running.cluster.ready())
    with running.load() as load:
        wait_until("the load runs", lambda: load.sent > 20)
        began = time.monotonic()
        running.apply("RERANK_DEFAULT_BUDGET_MS=900")
        running.cluster.kubectl("rollout", "status", "deployment/rerank-worker", "--timeout=200s", timeout_s=210)
        took_s = time.monotonic() - began
        gone_s = running.until("the old pods are gone", 2)
    outcome = _outcome(running, load)
    assert not old & set(running.cluster.ready())
    assert gone_s < _GRACE_S
    assert outcome.late < outcome.sent / 2
    running.say("a rolling update of two pods", f"{took_s:.0f} s; {outcome}")


@pytest.mark.parametrize("grace", ["with its grace period", "at once"])
def test_a_pod_that_is_deleted_loses_nothing_and_is_replaced(running: Place, grace: str) -> None:
    victim = running.cluster.ready()[0]
    force = [] if grace == "with its grace period" else ["--grace-period=0", "--force"]
    with running.load() as load:
        wait_until("the load runs", lambda: load.sent > 20)
        began = time.monotonic()
        running.cluster.kubectl("delete", "pod", victim, *force, timeout_s=_GRACE_S + 30)
        gone_s = time.monotonic() - began
        ready_s = running.until("another is ready", 2)
    outcome = _outcome(running, load)
    assert gone_s < _GRACE_S
    if not force:
        assert "stopped" in running.cluster.log_of(victim)
    running.say(f"a pod deleted {grace}", f"gone after {gone_s:.0f} s, replaced {ready_s:.0f} s later; {outcome}")


def test_a_worker_that_stands_still_fails_its_liveness_probe_and_is_restarted(running: Place) -> None:
    victim = running.cluster.ready()[0]
    with running.load() as load:
        os.kill(_process_of(victim), signal.SIGSTOP)
        began = time.monotonic()

        def restarted() -> bool:
            (pod,) = [pod for pod in running.cluster.pods() if pod["metadata"]["name"] == victim]
            return bool(pod["status"]["containerStatuses"][0]["restartCount"])

        wait_until("the container was restarted", restarted, 200)
        took_s = time.monotonic() - began
        running.until("both are ready", 2)
    running.say("a worker that stands still", f"restarted after {took_s:.0f} s; {_outcome(running, load)}")


def _process_of(pod: str) -> int:
    """Return the process of a pod's worker, as this host numbers it."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and b"rerank-worker" in command:
            return int(process.name)
    raise AssertionError(f"no process of {pod}")


@pytest.mark.parametrize(
    ("variable", "value", "status", "reason"),
    [
        ("RERANK_SASL_PASSWORD", "wrong", 5, "login"),
        ("RERANK_RESULT_TOPIC", "no-such-topic", 8, "no-such-topic"),
    ],
)
def test_a_worker_that_cannot_start_is_not_ready_and_says_why(
    running: Place, variable: str, value: str, status: int, reason: str
) -> None:
    deployment = json.loads(running.cluster.kubectl("get", "deployment", "rerank-worker", "-o", "json"))
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["env"] = [{"name": variable, "value": value}]
    name = f"broken-{status}"
    running.cluster.make("v1", "Pod", {"name": name}, spec=spec)

    def ended() -> bool:
        pod = json.loads(running.cluster.kubectl("get", "pod", name, "-o", "json"))
        for container in pod["status"].get("containerStatuses", []):
            assert not container["ready"]
            if last := container["lastState"].get("terminated"):
                return bool(last["exitCode"] == status)
        return False

    wait_until("the worker has ended with its status", ended, 60)
    last = running.cluster.log_of(name).splitlines()[-1]
    running.cluster.kubectl("delete", "pod", name)
    assert reason in last
    running.say(f"`{variable}={value}`", f"not ready, status {status}: {json.loads(last)['message']}")


def test_keda_scales_up_on_lag_and_down_again_and_nothing_is_lost(running: Place) -> None:
    running.apply("RERANK_ON_OVERLOAD=score", "RERANK_MAX_POLL_RECORDS=8", scaled=True)
    running.cluster.kubectl("rollout", "status", "deployment/rerank-worker", "--timeout=200s", timeout_s=210)
    running.until("two pods are ready", 2)
    wait_until("KEDA is ready", lambda: _scaled_object_is_ready(running), 60)
    load = running.load(rate=5)
    producer = KafkaProducer(bootstrap_servers=running.kafka.bootstrap_servers)
    began = time.monotonic()
    while len(running.cluster.pods()) < 4:  # as long as it takes, the lag is kept up
        load.publish(producer, 400)
        assert time.monotonic() - began < 120, running.cluster.kubectl("get", "hpa,scaledobject")
    up_s = time.monotonic() - began
    producer.close()
    running.until("four pods are ready", 4, 180)
    with load:
        down_s = running.until("two pods are left", 2, 300)
    outcome = _outcome(running, load)
    running.say("lag, from two workers to four", f"{up_s:.0f} s")
    running.say("no lag, from four workers to two", f"{down_s:.0f} s; {outcome}")


def _scaled_object_is_ready(place: Place) -> bool:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return place.cluster.kubectl("get", "scaledobject", "rerank-worker", "-o", f"jsonpath={path}") == "True"

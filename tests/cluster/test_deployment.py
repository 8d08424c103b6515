"""The worker as a Deployment: updated, deleted and stopped under load, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.disturbances import check_outage, crash, delete, kill, roll

if TYPE_CHECKING:
    from tests.cluster.site import Site

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]


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
    roll(running, "a rolling update of two pods", "deployment/rerank-worker", running.apply)


def test_a_pod_that_is_deleted_with_grace_is_replaced_and_nothing_is_lost(running: Site) -> None:
    delete(running, "`kubectl delete pod`")


def test_a_pod_that_is_deleted_by_force_is_replaced_and_only_its_outage_makes_requests_late(running: Site) -> None:
    kill(running, "`kubectl delete pod --grace-period=0 --force`")


def test_a_worker_that_is_killed_is_started_again_in_its_pod_and_only_its_outage_makes_requests_late(
    running: Site,
) -> None:
    crash(running, "a worker is killed, and started again in its pod")


def test_a_worker_that_stands_still_is_restarted_by_its_liveness_probe_and_nothing_is_lost(running: Site) -> None:
    victim = running.cluster.ready()[0]
    restarts = running.cluster.container_of(victim)["restartCount"]
    with running.under_load("a worker stands still (SIGSTOP)") as scenario:
        scenario.killed.add(victim)
        began_s = time.monotonic()
        os.kill(running.cluster.process_of(victim), signal.SIGSTOP)
        scenario.killed_ms = time.time() * 1000
        running.until("it is not ready", lambda: victim not in running.cluster.ready())
        unready_s = time.monotonic() - began_s
        running.until("it was restarted", lambda: running.cluster.container_of(victim)["restartCount"] > restarts, 200)
        restarted_s = time.monotonic() - began_s
        running.until_ready(2)
        ready_s = time.monotonic() - began_s
        scenario.took = (
            f"{unready_s:.0f} s until not ready, {restarted_s:.0f} s until restarted, {ready_s:.0f} s in all"
        )
    assert running.cluster.container_of(victim)["lastState"]["terminated"]["reason"] == "livenessProbeFailed"
    check_outage(scenario)

"""The worker as KEDA and the autoscaler want it: more for a backlog, fewer after it, and nothing is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.deploy.prometheus import Prometheus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.site import Site

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]

_BACKLOG = 400  # more than six times lagThreshold


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
        return len(running.cluster.ready()) == 6

    up_s = running.until("six workers are ready", all_are_there, 240)
    outcome = load.outcome(within_s=180)
    done_s = time.monotonic() - began_s
    running.table.add("a backlog: from two workers to six", f"{up_s:.0f} s; done after {done_s:.0f} s", outcome)
    assert (outcome.lost, outcome.wrong) == (0, [])

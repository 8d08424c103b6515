"""The worker as a StatefulSet with transactions: updated under load, and each request has one result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.cluster.site import CHANGE

if TYPE_CHECKING:
    from tests.cluster.site import Site

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]


def test_a_rolling_update_of_exactly_once_pods_gives_each_request_one_result(site: Site) -> None:
    site.cluster.kubectl("delete", "scaledobjects,deployments", "--all")
    site.until("no pod is left", lambda: not site.cluster.pods())
    site.apply(overlay="exactly-once")
    site.until_ready(2)
    with site.under_load("exactly-once: a rolling update of two pods") as scenario:
        began_s = time.monotonic()
        site.apply(CHANGE, overlay="exactly-once")
        site.cluster.kubectl("rollout", "status", "statefulset/rerank-worker", "--timeout=200s", timeout_s=210)
        site.until_ready(2)
        scenario.took = f"{time.monotonic() - began_s:.0f} s"
    assert scenario.outcome is not None
    assert scenario.outcome.repeated == 0

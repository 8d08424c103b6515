"""What is done to two workers under load, however they are deployed: an update, a deleted pod, a killed one."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tests.cluster.site import CHANGE, GRACE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.site import Scenario, Site

_LATE = 0.05  # the share of requests that may be outside their budget of a second where a pod is asked to end


def roll(site: Site, what: str, controller: str, apply: Callable[[str], None]) -> Scenario:
    """Update both pods; `apply` applies the same manifests with one more option."""
    old = site.cluster.uids()
    with site.under_load(what) as scenario:
        began_s = time.monotonic()
        apply(CHANGE)
        site.cluster.kubectl("rollout", "status", controller, "--timeout=200s", timeout_s=210)
        site.until_ready(2, without=old)
        scenario.took = f"{time.monotonic() - began_s:.0f} s"
    _check_late(scenario)
    return scenario


def delete(site: Site, what: str) -> Scenario:
    """Delete a pod with its grace."""
    victim = site.cluster.ready()[0]
    old, said = site.cluster.uid_of(victim), len(site.cluster.said(victim))
    with site.under_load(what) as scenario:
        began_s = time.monotonic()
        site.cluster.kubectl("delete", "pod", victim, timeout_s=GRACE_S + 15)
        gone_s = time.monotonic() - began_s
        site.until_ready(2, without=[old])
        scenario.took = f"{gone_s:.0f} s until it was gone, {time.monotonic() - began_s:.0f} s until another was ready"
    assert "stopped" in {line.get("event") for line in site.cluster.said(victim)[said:]}
    _check_late(scenario)
    return scenario


def kill(site: Site, what: str) -> Scenario:
    """Delete a pod by force: only what was sent before the group missed it may be late."""
    victim = site.cluster.ready()[0]
    old, said = site.cluster.uid_of(victim), len(site.cluster.said(victim))
    with site.under_load(what) as scenario:
        scenario.killed.add(victim)
        began_s = time.monotonic()
        scenario.killed_ms = site.cluster.force_delete(victim) * 1000
        site.until_ready(2, without=[old])
        scenario.took = f"{time.monotonic() - began_s:.0f} s until another was ready"
    assert "stopping" not in {line.get("event") for line in site.cluster.said(victim)[said:]}
    check_outage(scenario)
    return scenario


def crash(site: Site, what: str) -> Scenario:
    """Kill a worker inside its pod, which starts it again: as a pod that is deleted by force."""
    victim = site.cluster.ready()[0]
    restarts = site.cluster.container_of(victim)["restartCount"]
    with site.under_load(what) as scenario:
        scenario.killed.add(victim)
        began_s = time.monotonic()
        os.kill(site.cluster.process_of(victim), signal.SIGKILL)
        scenario.killed_ms = time.time() * 1000
        site.until("it was restarted", lambda: site.cluster.container_of(victim)["restartCount"] > restarts)
        site.until_ready(2)
        scenario.took = f"{time.monotonic() - began_s:.0f} s until it was ready again"
    check_outage(scenario)
    return scenario


def check_outage(scenario: Scenario) -> None:
    """Fail where more was late than a killed worker explains."""
    assert scenario.outcome is not None
    assert scenario.outcome.outage is not None
    assert scenario.outcome.outage.late_outside == 0, scenario.outcome


def _check_late(scenario: Scenario) -> None:
    assert scenario.outcome is not None
    assert scenario.outcome.late_share <= _LATE, scenario.outcome

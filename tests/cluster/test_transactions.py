"""The worker as a StatefulSet with transactions: updated, deleted, killed under load; each request has one result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.disturbances import crash, delete, kill, roll

if TYPE_CHECKING:
    from tests.cluster.site import Scenario, Site

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def transactional(site: Site) -> Site:
    """The workers as the overlay has them, and ready."""
    site.cluster.kubectl("delete", "scaledobjects,deployments", "--all")
    site.until("no pod is left", lambda: not site.cluster.pods())
    _apply(site)
    site.until_ready(2)
    return site


def test_a_rolling_update_of_exactly_once_pods_gives_each_request_one_result(transactional: Site) -> None:
    what = "exactly-once: a rolling update of two pods"
    _check(roll(transactional, what, "statefulset/rerank-worker", lambda option: _apply(transactional, option)))


def test_an_exactly_once_pod_that_is_deleted_with_grace_gives_each_request_one_result(transactional: Site) -> None:
    _check(delete(transactional, "exactly-once: `kubectl delete pod`"))


def test_an_exactly_once_pod_that_is_deleted_by_force_gives_each_request_one_result(transactional: Site) -> None:
    _check(kill(transactional, "exactly-once: a pod is killed, and deleted"))


def test_an_exactly_once_worker_that_is_killed_in_its_pod_gives_each_request_one_result(transactional: Site) -> None:
    _check(crash(transactional, "exactly-once: a worker is killed, and started again in its pod"))


def _apply(site: Site, *options: str) -> None:
    site.apply(*options, overlay="exactly-once")


def _check(scenario: Scenario) -> None:
    assert scenario.outcome is not None
    assert scenario.outcome.repeated == 0

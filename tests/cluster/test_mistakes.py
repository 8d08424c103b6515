"""Workers that cannot start: not ready, and the reason in their log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.cluster.cluster import PASSWORD
from tests.cluster.node_kafka import NO_TOPIC
from worker.exits import Exit

if TYPE_CHECKING:
    from typing import Any

    from tests.cluster.site import Site

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]

_SAID_CHARS = 100  # of a line, in the table


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
    lines = site.cluster.said(pod["metadata"]["name"], namespace)
    return [line for line in lines if line["level"] not in {"info", "warning"}]

"""What was seen of a pod says how it has ended."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.pod_watch import Ending, changes, ending_of

METADATA = {"namespace": "search", "name": "worker-1"}


def _ended(status: int, **metadata: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": status, "finishedAt": "2026-01-01T00:00:03Z"}}
    return {"metadata": METADATA | metadata, "status": {"containerStatuses": [{"state": state}]}}


def test_a_pod_that_was_deleted_took_from_then_until_its_worker_ended() -> None:
    # Asked at 00:00:00 to be over by 00:00:45.
    asked = {"deletionTimestamp": "2026-01-01T00:00:45Z", "deletionGracePeriodSeconds": 45}
    assert ending_of(_ended(137, **asked)) == Ending("search", "worker-1", 137, 3.0)


def test_a_pod_that_was_gone_at_once_has_no_status() -> None:
    running = {"metadata": METADATA, "status": {"containerStatuses": [{"state": {"running": {}}}]}}
    assert ending_of(running) == Ending("search", "worker-1", None, None)


def test_what_is_half_written_is_read_when_it_is_whole() -> None:
    first, second = json.dumps({"type": "ADDED"}, indent=1), json.dumps({"type": "DELETED"}, indent=1)
    ((change, end),) = changes(f"{first}\n{second[:-3]}", 0)
    assert change == {"type": "ADDED"}
    assert [change for change, _ in changes(f"{first}\n{second}\n", end)] == [{"type": "DELETED"}]

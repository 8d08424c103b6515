"""What was seen of a pod says how it has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.pod_watch import Ending, PodWatch, changes
from tests.deploy.kubectl import Kubectl

if TYPE_CHECKING:
    from pathlib import Path

RUNNING: dict[str, Any] = {"running": {}}
ENDED = {"terminated": {"exitCode": 137, "finishedAt": "2026-01-01T00:00:03Z"}}


def _pod(state: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    named = {"namespace": "search", "name": "worker-1", "uid": "1"}
    return {"metadata": named | metadata, "status": {"containerStatuses": [{"state": state}]}}


def _leaving(by: str, grace: int) -> dict[str, Any]:
    return {"deletionTimestamp": f"2026-01-01T00:00:{by}Z", "deletionGracePeriodSeconds": grace}


def _endings(folder: Path, *seen: tuple[str, dict[str, Any]]) -> list[Ending]:
    watch = PodWatch(Kubectl(folder / "kubeconfig"), folder / "pods.json")
    for kind, pod in seen:
        watch._take(kind, pod)
    return watch._endings


def test_a_pod_that_was_deleted_took_from_then_until_its_worker_ended(tmp_path: Path) -> None:
    # Asked at 00:00:00 to be over by 00:00:45; the last word has no grace any more.
    asked, gone = _pod(RUNNING, **_leaving("45", 45)), _pod(ENDED, **_leaving("04", 0))
    seen = (("ADDED", _pod(RUNNING)), ("MODIFIED", asked), ("DELETED", gone))
    assert _endings(tmp_path, *seen) == [Ending("search", "worker-1", 137, 3.0)]


def test_a_pod_that_was_gone_at_once_has_no_status(tmp_path: Path) -> None:
    seen = (("ADDED", _pod(RUNNING)), ("DELETED", _pod(RUNNING)))
    assert _endings(tmp_path, *seen) == [Ending("search", "worker-1", None, None)]


def test_what_is_half_written_is_read_when_it_is_whole() -> None:
    first, second = json.dumps({"type": "ADDED"}, indent=1), json.dumps({"type": "DELETED"}, indent=1)
    ((change, end),) = changes(f"{first}\n{second[:-3]}", 0)
    assert change == {"type": "ADDED"}
    assert [change for change, _ in changes(f"{first}\n{second}\n", end)] == [{"type": "DELETED"}]

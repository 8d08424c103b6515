"""What becomes of pods: how each is now, and how each that is gone has ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from tests.deploy.kubectl import KUBECTL
from worker.tools.local.children import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from tests.deploy.kubectl import Kubectl


@dataclass(frozen=True)
class Ending:
    """A pod that is gone: with which status its worker ended (None: nobody saw it), how long after it was asked to."""

    namespace: str
    pod: str
    status: int | None
    took_s: float | None


class PodWatch:
    """Sees every change of every pod, as a context manager."""

    def __init__(self, kubectl: Kubectl, path: Path) -> None:
        watch = ("get", "pods", "--all-namespaces", "--watch", "--output-watch-events", "-o", "json")
        self._child = Child([str(KUBECTL), *watch], log=path, environment=kubectl.environment)
        self._pods: dict[str, dict[str, Any]] = {}  # by their uid
        self._asked_s: dict[str, float] = {}  # when each was asked to end
        self._endings: list[Ending] = []
        self._read = 0  # characters of what the watch has written

    def __enter__(self) -> Self:
        """Begin."""
        self._child.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._child.kill()

    def pods(self) -> list[dict[str, Any]]:
        """Return every pod as it was last seen."""
        self._look()
        return list(self._pods.values())

    def endings(self) -> list[Ending]:
        """Return how each pod that is gone has ended, in the order in which they went."""
        self._look()
        return list(self._endings)

    def _look(self) -> None:
        assert self._child.running, f"the watch of the pods has ended:\n{self._child.tail()}"
        text = self._child.log.read_text(encoding="utf-8")
        for change, end in changes(text, self._read):
            self._read = end
            self._take(change["type"], change["object"])

    def _take(self, kind: str, pod: dict[str, Any]) -> None:
        uid, over_by = pod["metadata"]["uid"], pod["metadata"].get("deletionTimestamp")
        if over_by is not None:  # at first with the grace that it was given; with none when it is gone
            self._asked_s.setdefault(uid, _seconds(over_by) - pod["metadata"]["deletionGracePeriodSeconds"])
        self._pods[uid] = pod
        if kind == "DELETED":
            del self._pods[uid]
            self._endings.append(ending_of(pod, self._asked_s.get(uid)))


def changes(text: str, at: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each change from a place on that is written down as a whole, and where it ends."""
    decoder = json.JSONDecoder()
    while True:
        while text[at : at + 1].isspace():
            at += 1
        try:
            change, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return  # the rest is not written yet
        yield change, at


def ending_of(pod: dict[str, Any], asked_s: float | None) -> Ending:
    """Return how a pod ended, from the last that was said of it and when it was asked to end."""
    containers = pod.get("status", {}).get("containerStatuses", [])
    ended = next((found for each in containers if (found := each["state"].get("terminated"))), None)
    status = took_s = None
    if ended is not None:
        status = ended["exitCode"]
        took_s = None if asked_s is None else _seconds(ended["finishedAt"]) - asked_s
    return Ending(pod["metadata"]["namespace"], pod["metadata"]["name"], status, took_s)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()

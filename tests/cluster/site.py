"""Where the worker is deployed: a cluster, a broker, and what is done to the worker while requests come."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.cluster.cluster import NAMESPACE, Cluster
from tests.cluster.load import Load, Outcome
from tests.cluster.overlay import render_for
from tests.integration.line import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tests.cluster.node_kafka import NodeKafka
    from tests.cluster.pod_watch import Ending
    from tests.cluster.table import Table

GRACE_S = 45.0  # terminationGracePeriodSeconds of the manifests
CHANGE = "RERANK_MAX_TEXT_CHARS=10000"  # of an option, which rolls the pods
_FLOWING = 20  # requests, when a load counts as steady
_SETTLED_S = 120.0


@dataclass
class Scenario:
    """Something that is done under load: `took` is for the table, `killed` are pods that cannot end by themselves.

    `killed_ms` is when a worker was killed, and its outage began.
    """

    load: Load
    took: str = ""
    killed: set[str] = field(default_factory=set)
    killed_ms: float | None = None
    outcome: Outcome | None = None


class Site:
    """A cluster with a broker that the worker can be applied to."""

    def __init__(self, cluster: Cluster, kafka: NodeKafka, folder: Path, table: Table) -> None:
        self.cluster, self.kafka, self.table = cluster, kafka, table
        self._folder = folder
        self._loads = 0

    def apply(self, *options: str, namespace: str = NAMESPACE, **more: str) -> None:
        """Apply the worker with these options; `more` as the keywords of `render_for`."""
        manifests = render_for(self.kafka.for_pods, self._folder, options=options, **more)
        self.cluster.apply(manifests.text, namespace)

    def load(self, **more: int) -> Load:
        """Return a load of its own; `more` as its keywords."""
        self._loads += 1
        return Load(self.kafka.bootstrap_servers, f"load-{self._loads}", **more)

    def until_ready(self, count: int, timeout_s: float = _SETTLED_S, *, without: Collection[str] = ()) -> float:
        """Wait until so many pods are ready, and there is no other nor one of those uids; return how long it took."""

        def holds() -> bool:
            uids = self.cluster.uids()
            return len(self.cluster.ready()) == len(uids) == count and not set(without) & uids

        return self.until(f"{count} pods are ready and there is no other", holds, timeout_s)

    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = _SETTLED_S) -> float:
        """Wait until something holds; return the seconds that it took."""
        began_s = time.monotonic()
        pods = ("get", "pods", "-A", "-o", "wide")
        wait_until(f"{what}:\n{{}}", holds, timeout_s, detail=lambda: self.cluster.kubectl(*pods))
        return time.monotonic() - began_s

    @contextmanager
    def under_load(self, what: str) -> Iterator[Scenario]:
        """Do something under a steady load; then every request has its result, and every pod that went ended well."""
        endings = len(self.cluster.pod_watch.endings())
        restarts = self._restarts()
        with self.load() as load:
            scenario = Scenario(load)
            self.until("the load flows", lambda: len(load.results()) >= _FLOWING)
            yield scenario
        outcome = scenario.outcome = load.outcome(killed_ms=scenario.killed_ms)
        self.table.add(what, scenario.took, outcome)
        assert outcome.lost == 0, f"{outcome.lost} of {outcome.sent} requests have no result"
        assert outcome.wrong == [], "results that are no permutation of their candidates"
        self._check_endings(self.cluster.pod_watch.endings()[endings:], scenario.killed)
        again = {pod: count for pod, count in self._restarts().items() if count > restarts.get(pod, 0)}
        assert again.keys() <= scenario.killed, f"containers were restarted: {again}"

    def _check_endings(self, endings: list[Ending], killed: set[str]) -> None:
        for ending in endings:
            if ending.namespace == NAMESPACE and ending.pod not in killed:
                assert ending.status == 0, f"expected status 0, got {ending}"
                assert ending.took_s is not None, f"expected a time, got {ending}"
                assert ending.took_s < GRACE_S, f"expected less than {GRACE_S} s, got {ending}"
                self.table.slowest_end_s = max(self.table.slowest_end_s, ending.took_s)
                self.table.ended += 1

    def _restarts(self) -> dict[str, int]:
        return {
            pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))
            for pod in self.cluster.pods()
        }

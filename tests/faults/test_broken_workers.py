"""The suite sees what it is there to see: a worker with a defect breaks the invariant that the defect is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.broken_workers import VARIABLE
from tests.faults.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.cluster import Cluster
    from tests.faults.history import Delivery
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker]


def _fault(
    name: str, delivery: Delivery, inject: Callable[[Trial], None] = lambda _: None, *, defect: str = "", **more: Any
) -> Fault:
    options = {"environment": {VARIABLE: defect or name}, **more}
    return Fault(name=name, inject=inject, bound_s=20, patience_s=0, options=options, deliveries=(delivery,))


def _kill(trial: Trial) -> None:
    trial.supervisors[0].worker.kill()
    trial.until_more()


def _join(trial: Trial) -> None:
    second = trial.add_worker()
    trial.until("both have partitions", lambda: second.worker.metric("rerank_partitions_assigned") > 0)
    trial.until_more()


def _stop_for_good(trial: Trial) -> None:
    trial.supervisors[0].let_go()


EXPECTED = {
    "commits what it received": "I2",
    "keeps what it gave up": "I6",
    "sends twice": "I3",
    "scores by chance": "I4",
    "swaps results": "I5",
    "loses results": "I1",
    "stays away": "I7",
}


def test_a_defect_breaks_the_invariant_that_it_is_about(stage: Stage, cluster: Cluster) -> None:
    findings = stage.findings(
        cluster,
        _fault("commits what it received", "at-least-once", _kill),
        _fault("keeps what it gave up", "at-least-once", _join),
        _fault("sends twice", "exactly-once"),
        # A kill right behind a commit would leave nothing to be done twice.
        _fault("scores by chance", "at-least-once", _kill, commit_interval_s=10),
        _fault("swaps results", "at-least-once"),
        _fault("loses results", "at-least-once"),
        _fault("stays away", "exactly-once", _stop_for_good, defect="none"),
    )
    for name, invariant in EXPECTED.items():
        assert findings[name].violations[invariant], f"{name}: {findings[name].violations}"
    assert {name for found in findings.values() for name, lines in found.violations.items() if lines} == {
        *EXPECTED.values()
    }

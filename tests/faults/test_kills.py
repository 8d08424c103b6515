"""Workers that are killed with -9: at named points in the life of an event, and at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import BOTH, Fault
from tests.faults.points import AFTER, INSIDE_THE_COMMIT, Plan

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 60.0


def _until_killed(trial: Trial) -> None:
    plan = trial.fault.plan
    assert plan is not None
    what = f"{trial.kills} workers died {plan.point}"
    trial.until(what, lambda: len(plan.reached(trial.journal())) == trial.kills, timeout_s=300)
    trial.lifted_ms = plan.reached(trial.journal())[-1]


def _kill_at_any_time(trial: Trial) -> None:
    (supervisor,) = trial.supervisors
    for _ in range(trial.kills):
        trial.until_more(trial.chance.randrange(1, 40))
        supervisor.worker.kill()


AT_POINTS = [
    Fault(
        name=f"kill -9 {point}",
        plan=Plan(point, passes=passes),
        inject=_until_killed,
        deliveries=("exactly-once",) if point in AFTER else BOTH,
        bound_s=BACK_S,
    )
    for point, passes in {
        "before the publish": 75,
        "between publish and commit": 8,
        "inside a transaction": 75,
        INSIDE_THE_COMMIT: 8,
    }.items()
]
AT_RANDOM = Fault(name="kill -9 at random", inject=_kill_at_any_time, bound_s=BACK_S)
FAULTS = [*AT_POINTS, AT_RANDOM]


def test_a_worker_that_is_killed_at_a_named_point_loses_nothing_and_repeats_no_more_than_promised(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, *AT_POINTS)


def test_a_worker_that_is_killed_at_any_time_loses_nothing_and_repeats_no_more_than_promised(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, AT_RANDOM)

"""Workers that are killed with -9: at named points in the life of an event, and at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import BOTH, Fault
from tests.faults.points import AFTER, INSIDE_THE_COMMIT, Plan

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.history import Delivery
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 30.0  # a second to start, the session of the dead one, and a slow machine
KILLS = 2  # of a trial


def _at(point: str, passes: int) -> Fault:
    plan = Plan(point, passes=passes, times=KILLS)

    def inject(trial: Trial) -> None:
        trial.until(f"{KILLS} workers died {point}", lambda: len(plan.reached(trial.journal())) == KILLS)
        trial.lifted_ms = plan.reached(trial.journal())[-1]

    deliveries: tuple[Delivery, ...] = ("exactly-once",) if point in AFTER else BOTH
    return Fault(name=f"kill -9 {point}", plan=plan, inject=inject, bound_s=BACK_S, deliveries=deliveries)


def _at_any_time(trial: Trial) -> None:
    (supervisor,) = trial.supervisors
    for _ in range(KILLS):
        trial.until_more(trial.chance.randrange(1, 40))
        supervisor.worker.kill()


def test_a_worker_that_is_killed_at_a_named_point_loses_nothing_and_repeats_no_more_than_promised(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(
        cluster,
        _at("before the publish", 75),
        _at("between publish and commit", 8),
        _at("inside a transaction", 75),
        _at(INSIDE_THE_COMMIT, 8),
    )


def test_a_worker_that_is_killed_at_any_time_loses_nothing_and_repeats_no_more_than_promised(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, Fault(name="kill -9 at random", inject=_at_any_time, bound_s=BACK_S))

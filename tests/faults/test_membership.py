"""Groups in which members come and go all the time, and members that take each other's name."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import BOTH, Fault
from worker.config.options import options
from worker.config.settings import group_types
from worker.exits import Exit

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.history import Delivery
    from tests.faults.stage import Stage
    from tests.faults.supervisor import Supervisor
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 60.0
CHANGES = 6
FIGHT_S = 10.0
# Names that a worker must not share, and the deliveries that use them.
NAMES: dict[str, tuple[Delivery, ...]] = {"transactional_id": ("exactly-once",), "group_instance_id": BOTH}


def _storm(trial: Trial) -> None:
    """Have a member join or leave every 1 to 3 s; those that leave are asked to, or killed."""
    guests: list[Supervisor] = []
    for _ in range(CHANGES):
        time.sleep(trial.chance.uniform(1, 3))
        if guests and trial.chance.random() < 0.5:
            guests.pop(0).let_go(grace_s=trial.chance.choice((0.0, 20.0)))
        else:
            guests.append(trial.add_worker())
    for guest in guests:
        guest.let_go()


def _share(name: str, trial: Trial) -> None:
    """Have a second worker with the name of the first, each started again whenever it ends."""
    other = trial.add_worker(**{name: trial.fault.options[name]})
    time.sleep(FIGHT_S)
    other.let_go()


STORM = Fault(name="rebalance storm", inject=_storm, bound_s=BACK_S)
SHARED = {
    name: Fault(
        name=f"two processes with one {name.replace('_', ' ')}",
        inject=partial(_share, name),
        options={name: f"the-only-{time.time_ns()}"},
        exits=frozenset({Exit.FENCED}),
        deliveries=deliveries,
        bound_s=BACK_S,
    )
    for name, deliveries in NAMES.items()
    if name in {option.name for option in options(group_types())}
}
FAULTS = [STORM, *SHARED.values()]


def test_a_storm_of_rebalances_costs_time_and_nothing_else(stage: Stage, cluster: Cluster) -> None:
    stage.run(cluster, STORM)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_with_one_name_do_no_harm(stage: Stage, cluster: Cluster, name: str) -> None:
    if name not in SHARED:
        pytest.skip(f"the worker has no option {name}")
    stage.run(cluster, SHARED[name])

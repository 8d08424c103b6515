"""Workers that stand still: stopped by the system, with a stuck model, or with a main loop that does not poll."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import Fault
from tests.faults.points import Plan

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 60.0
STALL_S = 6.0  # twice the longest time between two polls
_WATCHDOG = frozenset(range(14, 18))  # statuses of a worker that ends itself when it is stuck


def _stop_past_its_session(trial: Trial) -> None:
    zombie, heir = trial.supervisors
    zombie.probing = False
    trial.until("both have partitions", lambda: heir.worker.metric("rerank_partitions_assigned") > 0)
    trial.until_more()
    zombie.worker.pause()
    try:
        trial.until("the heir has all", lambda: heir.worker.metric("rerank_partitions_assigned") == 3)
        trial.until_more(40)
    finally:
        zombie.worker.resume()


def _until_stalled(trial: Trial) -> None:
    plan = trial.fault.plan
    assert plan is not None
    trial.until(f"it stalls {plan.point}", lambda: bool(plan.reached(trial.journal())))


def _until_over(trial: Trial) -> None:
    _until_stalled(trial)
    time.sleep(STALL_S)


def _until_ended(trial: Trial) -> None:
    _until_stalled(trial)
    trial.until("it was ended, or has ended itself", lambda: bool(trial.ends()))


FAULTS = [
    Fault(name="SIGSTOP past the session, SIGCONT", workers=2, inject=_stop_past_its_session, bound_s=BACK_S),
    Fault(
        name="model stuck past max.poll.interval",
        plan=Plan("in the model", passes=30, stall_s=STALL_S),
        options={"max_poll_interval_s": STALL_S / 2},
        inject=_until_over,
        bound_s=BACK_S,
    ),
    Fault(
        name="main loop stuck past max.poll.interval",
        plan=Plan("in the main loop", passes=100, stall_s=STALL_S),
        options={"max_poll_interval_s": STALL_S / 2},
        inject=_until_over,
        bound_s=BACK_S,
    ),
    Fault(
        name="model hangs for ever",
        plan=Plan("in the model", passes=30, stall_s=3600),
        options={"live_limit_s": STALL_S / 2},
        inject=_until_ended,
        exits=_WATCHDOG,
        bound_s=BACK_S,
    ),
]


def test_a_worker_that_stood_still_past_its_session_does_no_harm_when_it_goes_on(
    stage: Stage, cluster: Cluster
) -> None:
    stage.run(cluster, *FAULTS)

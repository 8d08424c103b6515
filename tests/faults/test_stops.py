"""Workers that are asked to stop in the middle of their work."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import Fault

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

BACK_S = 60.0


def _twice(trial: Trial) -> None:
    (supervisor,) = trial.supervisors
    for stops in (1, 2):
        supervisor.worker.terminate()
        trial.until("the worker has stopped", lambda stops=stops: len(supervisor.statuses) == stops)  # type: ignore[misc]
        trial.until_more()


def _at_once(trial: Trial) -> None:
    """Ask again before the first stop is through."""
    (supervisor,) = trial.supervisors
    supervisor.worker.terminate()
    time.sleep(0.05)
    supervisor.worker.terminate()
    trial.until("the worker has stopped", lambda: bool(supervisor.statuses))


FAULTS = [
    Fault(name="SIGTERM, and again after the restart", inject=_twice, bound_s=BACK_S),
    Fault(name="SIGTERM, and again at once", inject=_at_once, exits=frozenset({128 + signal.SIGTERM}), bound_s=BACK_S),
]


def test_a_worker_that_is_asked_to_stop_under_load_leaves_nothing_half_done(stage: Stage, cluster: Cluster) -> None:
    stage.run(cluster, *FAULTS)

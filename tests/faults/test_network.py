"""Networks that fall apart, are slow, break connections off, and change or lose what they carry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.fault import Fault
from worker.exits import Exit

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster
    from tests.faults.proxy import Proxy
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

FOR_S = 5.0  # longer than the session of a member
BACK_S = 60.0
BACK_FROM_SILENCE_S = 90.0  # the client waits for an answer for 30 s before it gives a connection up
SPOILED = 6  # frames
SPOILT = frozenset({Exit.CORRUPT, Exit.DELIVERY})  # a record was read spoilt, twice; or one was sent so


def _proxy(trial: Trial) -> Proxy:
    assert trial.proxy is not None
    return trial.proxy


def _apart(trial: Trial) -> None:
    _proxy(trial).weather.stalled = True
    time.sleep(FOR_S)
    _proxy(trial).weather.stalled = False


def _half_open(trial: Trial) -> None:
    assert _proxy(trial).forget() > 0


def _slow(trial: Trial) -> None:
    _proxy(trial).weather.delay_s = 0.1
    time.sleep(FOR_S)
    _proxy(trial).weather.delay_s = 0


def _reset(trial: Trial) -> None:
    ended = 0
    for _ in range(8):
        ended += _proxy(trial).reset()
        time.sleep(trial.chance.uniform(0.1, 1.0))
    assert ended > 0


def _flip(trial: Trial) -> None:
    _proxy(trial).weather.flips = SPOILED
    trial.until("records were changed", lambda: _proxy(trial).weather.flips == 0)


def _cut(trial: Trial) -> None:
    _proxy(trial).weather.cuts = SPOILED
    trial.until("frames were cut", lambda: _proxy(trial).weather.cuts == 0)


FAULTS = [
    Fault(name="network partition", by_proxy=True, inject=_apart, bound_s=BACK_S),
    Fault(name="half-open connections", by_proxy=True, inject=_half_open, bound_s=BACK_FROM_SILENCE_S),
    Fault(name="latency", by_proxy=True, inject=_slow, bound_s=BACK_S),
    Fault(name="connection resets", by_proxy=True, inject=_reset, bound_s=BACK_S),
    Fault(name="byte flips", by_proxy=True, inject=_flip, bound_s=BACK_S, exits=SPOILT),
    Fault(name="truncated frames", by_proxy=True, inject=_cut, bound_s=BACK_S),
]


def test_a_network_that_is_apart_slow_or_broken_costs_time_and_nothing_else(stage: Stage, cluster: Cluster) -> None:
    stage.run(cluster, *FAULTS)

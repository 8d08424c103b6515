"""The scheduler under load, on a virtual clock: the shares that the design promises."""

from __future__ import annotations

import pytest

from tests.support.simulation import Device, run, traffic
from worker.scheduling.limits import BatchLimits

DEVICE = Device()
FIFO = BatchLimits(schedule="fifo")
PARTIAL = BatchLimits(on_overload="partial")
PASSTHROUGH = BatchLimits(on_overload="passthrough")
SCORE = BatchLimits(on_overload="score")


# What the earliest deadline first with bounded batches reached, for lists that are scored as a whole.
@pytest.mark.parametrize(("load", "share"), [(0.85, 0.999), (1.0, 0.952), (1.2, 0.826)])
def test_as_many_lists_are_whole_in_their_budget_as_by_deadline_alone(load: float, share: float) -> None:
    assert run(traffic(load, DEVICE), DEVICE, PASSTHROUGH).share(whole=True) >= share - 0.005


# And in the order of arrival, which holds up while the load is light. At 1.0 it depends on how long that lasts.
@pytest.mark.parametrize(("load", "share"), [(0.85, 0.958), (1.2, 0.008)])
def test_first_in_first_out_collapses_where_deadlines_do_not(load: float, share: float) -> None:
    assert run(traffic(load, DEVICE), DEVICE, FIFO).share() == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("load", [0.5, 0.85, 1.2, 2.0])
@pytest.mark.parametrize("limits", [PARTIAL, PASSTHROUGH], ids=["partial", "passthrough"])
def test_what_is_degraded_is_published_in_time_at_any_load(load: float, limits: BatchLimits) -> None:
    assert run(traffic(load, DEVICE, count=1500), DEVICE, limits).share() >= 0.995


def test_a_device_that_was_always_slow_degrades_more_and_keeps_its_budgets() -> None:
    jobs = traffic(0.7, DEVICE, count=2000)
    slow = Device(fixed_s=0.006, per_token_s=6e-6, per_square_s=6e-9)
    ends = run(jobs, slow, PASSTHROUGH)  # at 2.1 times the load
    assert ends.share() >= 0.995
    assert 0.3 < ends.share(whole=True) < 0.6


# With these nothing is scored once the device is slow, so that nothing would show that it is fast again.
TIGHT_S = (0.03, 0.03)


@pytest.mark.parametrize("slowness", [2, 3, 8, 60])
@pytest.mark.parametrize("budgets_s", [(0.1, 0.3), (0.1, 0.1), TIGHT_S])
@pytest.mark.parametrize("limits", [PARTIAL, PASSTHROUGH, SCORE], ids=["partial", "passthrough", "score"])
def test_a_device_that_was_slow_for_a_while_is_used_again(
    limits: BatchLimits, budgets_s: tuple[float, float], slowness: float
) -> None:
    device = Device(slow_s=(3.0, 5.0), slowness=slowness)
    steady = run(traffic(0.3, DEVICE, count=600, budgets_s=budgets_s), DEVICE, limits)
    ends = run(traffic(0.3, device, count=600, budgets_s=budgets_s), device, limits)
    # Where all is scored however late, the backlog of the slow time has to be worked off first.
    assert ends.whole_after(12) >= steady.whole_after(12) - 0.03


@pytest.mark.parametrize("limits", [PARTIAL, PASSTHROUGH], ids=["partial", "passthrough"])
def test_a_warm_up_on_a_throttled_processor_does_not_degrade_for_ever(limits: BatchLimits) -> None:
    device = Device(warmed_up_at=20)
    ends = run(traffic(0.3, device, count=600, budgets_s=TIGHT_S), device, limits)
    normal = run(traffic(0.3, DEVICE, count=600, budgets_s=TIGHT_S), DEVICE, limits)
    assert ends.whole_after(3) >= normal.whole_after(3) - 0.03


def test_a_higher_priority_is_served_first_under_overload_and_the_lower_one_while_it_can_be_met() -> None:
    overload = run(traffic(1.3, DEVICE, priorities=(0, 1)), DEVICE, PASSTHROUGH)
    assert overload.share_of(1) > 0.92
    assert overload.share_of(1) > overload.share_of(0) + 0.2
    calm = run(traffic(0.8, DEVICE, priorities=(0, 1)), DEVICE, PASSTHROUGH)
    assert calm.share_of(0) > 0.97

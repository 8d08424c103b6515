"""How much work comes, and how short its budgets are."""

from __future__ import annotations

import math

import pytest

from worker.scheduling.offered_load import OfferedLoad, ShortBudgets


def _after(load: OfferedLoad, seconds: int, tokens: float, begin: int = 0) -> float:
    found = math.nan
    for now_s in range(begin, begin + seconds):
        load.arrived(tokens, 0.0)
        found = load.measure(float(now_s), 1.0, 0.0)
    return found


def test_nothing_can_be_said_before_any_time_has_passed() -> None:
    load = OfferedLoad()
    load.arrived(5.0, 0.0)
    assert load.measure(3.0, 1.0, 0.0) == math.inf


def test_it_is_the_work_that_comes_in_a_second() -> None:
    assert _after(OfferedLoad(), 60, 0.8) == pytest.approx(0.8, rel=0.1)


def test_squares_count_as_the_device_does() -> None:
    load = OfferedLoad()
    load.measure(0.0, 1.0, 2.0)
    load.arrived(1.0, 4.0)
    assert load.measure(1.0, 1.0, 2.0) == pytest.approx(9.0)


def test_what_came_long_ago_is_forgotten_but_not_while_lists_of_then_may_wait() -> None:
    load = OfferedLoad()
    _after(load, 60, 4.0)
    assert _after(load, 60, 0.5, begin=60) == pytest.approx(0.5, rel=0.1)
    load.measure(120.0, 1.0, 0.0, longest_s=1e6)
    load.arrived(500.0, 0.0)
    assert load.measure(320.0, 1.0, 0.0, longest_s=1e6) > 2.0


def test_the_short_budget_is_that_of_one_in_twenty() -> None:
    budgets = ShortBudgets()
    for number in range(19):
        budgets.arrived(0.1 if number < 2 else 5.0)
    assert budgets.low_s == math.inf
    budgets.arrived(5.0)
    assert budgets.low_s == 0.1
    for _ in range(200):
        budgets.arrived(5.0)
    assert budgets.low_s == 5.0

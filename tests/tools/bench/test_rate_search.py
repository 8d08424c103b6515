"""The search for the highest rate, on simulated systems whose limit is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.tools.bench.arrivals import poisson
from worker.tools.bench.rate_search import Trial, highest_rate, least_events, replicas_for, wilson


class Limited:
    """A system that holds every rate up to its limit and none above; it counts its runs."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.runs = 0

    def __call__(self, rate: float) -> Trial:
        self.runs += 1
        return Trial(rate, 1000 if rate <= self.limit else 900, 1000)


@given(limit=st.floats(0.15, 1.0), runs=st.integers(3, 12))
def test_the_rate_that_is_found_holds_and_the_one_that_fails_is_close(limit: float, runs: int) -> None:
    system = Limited(limit)
    found = highest_rate(system, ceiling=1.0, share=0.99, runs=runs)
    assert system.runs == len(found.trials) <= runs
    assert found.rate <= limit
    assert found.fails_at > limit
    if runs >= 12:
        assert found.rate >= 0.9 * limit


def test_a_system_that_holds_nothing_has_no_rate() -> None:
    found = highest_rate(Limited(0.0), ceiling=10, share=0.99, runs=6)
    assert found.rate == 0
    assert found.events == 0
    assert math.isnan(found.share)


def test_the_rate_that_is_found_was_run_again() -> None:
    found = highest_rate(Limited(0.6), ceiling=1.0, share=0.99, runs=9)
    assert sum(trial.rate == found.rate for trial in found.trials) == 3
    assert found.events == 3000
    assert found.low < found.share == 1.0


def test_a_rate_that_held_once_by_luck_is_left() -> None:
    lucky = [True]

    def run(rate: float) -> Trial:
        if rate <= 0.5:
            return Trial(rate, 1000, 1000)
        good = 1000 if rate > 0.7 and lucky and lucky.pop() else 900
        return Trial(rate, good, 1000)

    found = highest_rate(run, ceiling=1.0, share=0.99, runs=20)
    assert 0 < found.rate <= 0.5


def test_the_limit_of_a_simulated_queue_is_found_within_a_tenth() -> None:
    # A single server with a fixed service time of 10 ms: its 99% quantile of the wait is known by simulating it long.
    budget_s, service_s = 0.08, 0.01
    chance = np.random.default_rng(3)

    def run(rate: float, seconds: float = 300) -> Trial:
        times = poisson(rate, seconds, chance)
        free, good = 0.0, 0
        for at in times.tolist():
            free = max(free, at) + service_s
            good += free - at <= budget_s
        return Trial(rate, good, len(times))

    found = highest_rate(run, ceiling=100, share=0.99, runs=14)
    assert run(0.9 * found.rate, 2_000).share >= 0.99
    assert run(1.1 * found.rate, 2_000).share < 0.99


def test_an_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(99, 100)
    assert [low, high] == pytest.approx([0.9455, 0.9982], abs=1e-4)
    assert wilson(100, 100)[1] == pytest.approx(1.0)
    assert wilson(0, 100)[0] == pytest.approx(0.0)


def test_replicas_are_rounded_up_with_their_headroom() -> None:
    assert replicas_for(100, rate=50, headroom=0) == 2
    assert replicas_for(100, rate=50, headroom=0.3) == 3
    assert replicas_for(1, rate=50, headroom=0.3) == 1


def test_so_many_good_events_show_a_share_and_one_fewer_does_not() -> None:
    enough = least_events(0.99)
    assert wilson(enough, enough)[0] >= 0.99 > wilson(enough - 1, enough - 1)[0]

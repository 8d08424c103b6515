"""Arrival processes: their counts, their bounds, and how uneven they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.tools.bench.arrivals import PROCESSES, Process, bursty, poisson


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("process", PROCESSES)
@given(rate=st.floats(0.5, 500), seconds=st.floats(0.2, 20), seed=st.integers(0, 1_000))
def test_a_run_has_exactly_its_load_in_order_and_in_time(
    process: Process, rate: float, seconds: float, seed: int
) -> None:
    times = PROCESSES[process](rate, seconds, chance(seed))
    assert len(times) == max(1, round(rate * seconds))
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] <= seconds


@pytest.mark.parametrize("process", PROCESSES)
def test_the_same_seed_gives_the_same_arrivals(process: Process) -> None:
    first, second, other = (PROCESSES[process](50, 4, chance(seed)) for seed in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()


def test_gaps_of_a_poisson_process_are_as_scattered_as_their_mean() -> None:
    gaps = np.diff(poisson(100, 200, chance()))
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)


def test_bursts_come_at_two_and_a_half_times_the_mean_and_calm_at_half_of_it() -> None:
    # Counts of a tenth of a second, most of which lie wholly in one state or the other.
    counts = np.histogram(bursty(400, 400, chance()), bins=4_000, range=(0, 400))[0]
    calm, burst = counts[counts < 60], counts[counts >= 60]
    assert np.median(calm) == pytest.approx(20, rel=0.1)
    assert np.median(burst) == pytest.approx(100, rel=0.1)
    assert len(burst) / len(counts) == pytest.approx(0.25, abs=0.08)

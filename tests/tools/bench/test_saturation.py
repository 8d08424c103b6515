"""Rates from the times of results."""

from __future__ import annotations

import pytest

from worker.tools.bench.saturation import rates


def test_the_first_tenth_of_the_results_only_starts_the_clock() -> None:
    # Twenty results, two of them slow to come, then one every 0.1 s with 5 pairs each.
    results = [(0.0, 100), (5.0, 100), *((5.0 + 0.1 * number, 5) for number in range(1, 19))]
    found = rates(results[::-1])
    assert found.events_per_s == pytest.approx(10)
    assert found.pairs_per_s == pytest.approx(50)


def test_what_was_done_with_the_batch_that_starts_the_clock_is_not_counted() -> None:
    # Forty results in batches of ten, one batch a second; the first tenth ends inside the first.
    assert rates([(float(number // 10), 5) for number in range(40)]).events_per_s == pytest.approx(10)


def test_a_few_results_still_have_a_rate() -> None:
    assert rates([(1.0, 3), (1.5, 3)]).events_per_s == pytest.approx(2)


def test_results_of_one_moment_took_what_a_timestamp_can_tell() -> None:
    assert rates([(1.0, 3), (1.0, 3)]).pairs_per_s == pytest.approx(3000)

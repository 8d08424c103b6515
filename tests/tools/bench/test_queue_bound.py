"""Rates that queues hold, against those whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from worker.tools.bench.queue_bound import highest_rate, waits


def test_exponential_service_holds_the_rate_of_the_closed_form() -> None:
    # M/M/1: the time in the system is exponential with the rate mu - lambda.
    service_s = np.random.default_rng(1).exponential(0.1, 5_000).tolist()
    rate = highest_rate(service_s, [0.0] * len(service_s), budget_s=1.0, share=0.99)
    assert rate == pytest.approx(10 - math.log(100), rel=0.08)


def test_constant_service_holds_more_than_exponential_service_of_the_same_mean() -> None:
    # M/D/1: by Erlang's series 99% wait for no more than nine services at a load of 0.772.
    assert highest_rate([0.1], [0.0], budget_s=1.0, share=0.99) == pytest.approx(7.72, rel=0.02)


def test_what_is_beside_the_service_takes_from_the_budget_and_not_from_the_server() -> None:
    without = highest_rate([0.1], [0.0], budget_s=0.9, share=0.99)
    assert highest_rate([0.1], [0.1], budget_s=1.0, share=0.99) == pytest.approx(without)


def test_what_is_late_even_alone_holds_no_rate() -> None:
    assert highest_rate([0.1, 0.3], [0.0, 0.0], budget_s=0.2, share=0.99) == 0.0


def test_an_arrival_waits_for_what_is_left_of_those_before_it() -> None:
    assert waits(np.array([3.0, 1.0, 1.0, 1.0]), np.array([1.0, 1.0, 9.0, 1.0])).tolist() == [0.0, 2.0, 2.0, 0.0]

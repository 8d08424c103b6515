"""The highest rate that a queue holds by its service times alone: M/G/1, first come first served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARRIVALS = 40_000
_HALVINGS = 20


def highest_rate(service_s: Sequence[float], beside_s: Sequence[float], *, budget_s: float, share: float) -> float:
    """Return the highest rate of Poisson arrivals, a second, at which `share` of them are through within `budget_s`.

    An arrival takes one server as long as one of the measured `service_s`, drawn again, and the `beside_s` of the same
    number beside that, such as the hops through a broker. Waiting times are Lindley's (1952), of the same 40,000 draws
    for each rate, so that the share falls with the rate. 0 where not even a lone arrival is through in time.
    """
    chance = np.random.default_rng(0)
    drawn = chance.integers(len(service_s), size=_ARRIVALS)
    service, beside = np.asarray(service_s)[drawn], np.asarray(beside_s)[drawn]
    gaps = chance.exponential(size=_ARRIVALS)
    low, high = 0.0, 1 / float(np.mean(service_s))
    if np.mean(service + beside <= budget_s) < share:
        return 0.0
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        in_time = waits(service, gaps / rate) + service + beside <= budget_s
        low, high = (rate, high) if in_time.mean() >= share else (low, rate)
    return low


def waits(service_s: np.ndarray, gaps_s: np.ndarray) -> np.ndarray:
    """Return how long each arrival (n,) waits: W(0) = 0, W(i + 1) = max(0, W(i) + service(i) - gap(i))."""
    walk = np.concatenate(([0.0], np.cumsum(service_s - gaps_s)[:-1]))
    waited: np.ndarray = walk - np.minimum.accumulate(walk)
    return waited

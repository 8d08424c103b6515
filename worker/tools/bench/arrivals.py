"""When the events of an open-loop run arrive: Poisson, or in bursts; the same for the same generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Process = Literal["poisson", "bursty"]

# Bursts: for a quarter of the time 2.5 times the mean rate, for the rest half of it, which is the mean rate over both.
_BURST_SHARE = 0.25
_BURST_RATE, _CALM_RATE = 2.5, 0.5
_BURST_S = 0.5  # mean length of a burst


def poisson(rate: float, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """Return sorted times, float64 (round(rate * seconds),), from 0 to `seconds`.

    A Poisson process whose count is known is that many uniform points (Cox and Lewis, 1966), so a run has exactly the
    load that it is said to have, however short it is.
    """
    return np.sort(chance.uniform(0, seconds, max(1, round(rate * seconds))))


def bursty(rate: float, seconds: float, chance: np.random.Generator) -> np.ndarray:
    """Return sorted times as `poisson` does, of a rate that changes: bursts of 2.5 times the mean, calm of half of it.

    Bursts last 0.5 s on average, and the calm between them 1.5 s, both exponential: a Poisson process that a two-state
    Markov chain modulates. Its points are uniform in the work that has arrived, which gives every run its exact count.
    """
    calm_s = _BURST_S * (1 - _BURST_SHARE) / _BURST_SHARE
    cycles = int(4 * seconds / (_BURST_S + calm_s)) + 16
    lengths = np.empty(2 * cycles)
    lengths[0::2] = chance.exponential(calm_s, cycles)
    lengths[1::2] = chance.exponential(_BURST_S, cycles)
    if chance.random() < _BURST_SHARE:
        lengths = lengths[1:]
        rates = np.resize([_BURST_RATE, _CALM_RATE], len(lengths))
    else:
        rates = np.resize([_CALM_RATE, _BURST_RATE], len(lengths))
    edges = np.concatenate(([0.0], np.cumsum(lengths)))
    kept = np.searchsorted(edges, seconds)
    edges = np.append(edges[:kept], seconds)
    arrived = np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates[: len(edges) - 1])))
    points = np.sort(chance.uniform(0, arrived[-1], max(1, round(rate * seconds))))
    return np.asarray(np.interp(points, arrived, edges))


PROCESSES: dict[Process, Callable[[float, float, np.random.Generator], np.ndarray]] = {
    "poisson": poisson,
    "bursty": bursty,
}

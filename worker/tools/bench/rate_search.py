"""Finds the highest rate that a system still serves, by halving; and how many replicas a traffic needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_Z95 = 1.959964  # of the normal distribution, for 95%
_FIRST_GUESS = 0.8  # of the ceiling: where a queue with budgets of a few service times usually ends
_CLOSE_ENOUGH = 0.03  # halving ends when the bracket is this narrow
_STEP_DOWN = 0.93  # after a rate that did not hold when it was run again


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at `rate` events a second: `good` of `events` were in budget."""

    rate: float
    good: int
    events: int

    @property
    def share(self) -> float:
        """The share in budget."""
        return self.good / self.events


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate that held, by several runs together, and the lowest that did not (inf: none).

    `rate` is 0 where no rate held. `low` and `high` are the 95% interval of the share in budget at this rate.
    """

    rate: float
    fails_at: float
    share: float
    low: float
    high: float
    events: int
    trials: tuple[Trial, ...]


def highest_rate(
    run: Callable[[float], Trial], *, ceiling: float, share: float, runs: int, confirmations: int = 2
) -> Found:
    """Return the highest rate up to `ceiling` at which at least `share` is in budget, after at most `runs` runs.

    It halves the bracket between a rate that held and one that did not, then runs the best one `confirmations` times
    more: it counts only if all its runs together hold, else a somewhat lower rate is run. All of it is bounded by
    `runs`; what is left unconfirmed has fewer events in its interval.
    """
    trials: list[Trial] = []
    held, failed, rate = 0.0, math.inf, _FIRST_GUESS * ceiling
    while len(trials) < runs - confirmations and rate - held > _CLOSE_ENOUGH * rate:
        trials.append(run(rate))
        held, failed = (rate, failed) if trials[-1].share >= share else (held, rate)
        rate = (held + min(failed, ceiling)) / 2
    best = held
    while best > 0 and len(trials) < runs and _runs_at(best, trials) <= confirmations:
        trials.append(run(best))
        if _pooled(best, trials).share < share:
            failed, best = best, best * _STEP_DOWN
    pooled = _pooled(best, trials)
    if not pooled.events or pooled.share < share:
        # The last step down was never run, or nothing held: the best is what did hold, if anything.
        best = max((each.rate for each in trials if _pooled(each.rate, trials).share >= share), default=0.0)
        pooled = _pooled(best, trials)
    low, high = wilson(pooled.good, pooled.events)
    value = pooled.share if pooled.events else math.nan
    return Found(best, failed, value, low, high, pooled.events, tuple(trials))


def wilson(good: int, events: int) -> tuple[float, float]:
    """Return the 95% interval of a share, as Wilson (1927) has it; (0, 1) without events."""
    if not events:
        return 0.0, 1.0
    share, square = good / events, _Z95**2
    centre = (share + square / (2 * events)) / (1 + square / events)
    half = _Z95 / (1 + square / events) * math.sqrt(share * (1 - share) / events + square / (4 * events**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def least_events(share: float) -> int:
    """Return how many events, all of them good, show at least this share with 95% (Wilson's interval)."""
    return math.ceil(_Z95**2 * share / (1 - share))


def replicas_for(traffic: float, rate: float, headroom: float) -> int:
    """Return ceil(traffic * (1 + headroom) / rate): replicas of this machine's size for `traffic` events a second.

    `headroom` is for peaks, a rebalance, and what a replica that is away leaves to the others.
    """
    return math.ceil(traffic * (1 + headroom) / rate)


def _runs_at(rate: float, trials: list[Trial]) -> int:
    return sum(each.rate == rate for each in trials)


def _pooled(rate: float, trials: list[Trial]) -> Trial:
    at = [each for each in trials if each.rate == rate]
    good, events = sum(each.good for each in at), sum(each.events for each in at)
    return Trial(rate, good, events)

"""What a batch takes: T = a·passes + b·tokens + c·squares, refitted as batches come back."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt
from typing_extensions import Doc

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOptions:
    """How carefully a batch's time is predicted."""

    cost_quantile: Annotated[
        float, Gt(0), Lt(1), Doc("Share of batches that are to come back within the safe prediction of their time.")
    ] = 0.95
    cost_memory: Annotated[
        float, Ge(1), Doc("Batches after which a measured time has lost two thirds of its weight.")
    ] = 100.0


class Load(NamedTuple):
    """What a batch's time depends on: all that is computed, padding included.

    `tokens` is their number, `squares` the sum over the pairs of the squared length (as padded), `passes` the number of
    forward passes.
    """

    tokens: int
    squares: int
    passes: int = 1


def packed_load(lengths: np.ndarray) -> Load:
    """Return the load of pairs of these lengths, int64 (n,), in one forward pass without padding."""
    return Load(int(lengths.sum()), int((lengths**2).sum()))


class Terms(NamedTuple):
    """Seconds of a forward pass, of a token and of a squared length."""

    per_pass: float
    per_token: float
    per_square: float

    def seconds(self, load: Load) -> float:
        """Return the seconds of a batch."""
        return self.per_pass * load.passes + self.per_token * load.tokens + self.per_square * load.squares


class CostModel:
    """Predicts the seconds of a batch: the expected ones, and those within which it comes back with a set probability.

    The expected time is shape x level. The shape is the three coefficients, fitted by least squares on relative errors,
    so that small batches count as much as large ones; older batches are forgotten exponentially, and the warm-up stands
    behind with the weight of a few batches, so that a long run of equal ones cannot make the fit meaningless. A
    coefficient is never negative. The level is the median of the last ratios of measured to fitted time: a device that
    slows down, or comes back, is followed within five batches, and does not bend the shape. The safe time is the
    expected one x spread, a high quantile of the recent ratios around their local median.

    What was measured long ago counts less, in batches and in time: after a pause a few batches decide.
    """

    _PRIOR_WEIGHT = 4.0  # of the warm-up, in batches,
    _PRIOR_RATIOS = 4  # and that it was right: the first batch often meets cold caches, and must not be the level
    _LOCAL = 9  # batches whose median is the level
    _SPREADS = 60  # batches whose ratios make the spread
    _ODD = 3.0  # so many times off, a batch says nothing of shape and spread: it stood still, or the level changes
    _REFIT_EVERY = 16  # the shape changes slowly, and solving costs ten times as much as the rest
    _FRESH_S = 10.0  # in so many seconds a ratio has lost two thirds of its weight, down to
    _OLD = 0.25  # this: three new ones outvote what was measured before a pause, and one alone does not
    _SURE = 2.5  # times as far above the median as the safe time: a list that is late loses all of its scores
    _MOST_CAUTION = 2.0
    _SHAPE_S = 600.0  # in so many seconds a batch has lost two thirds of its weight in the shape

    def __init__(self, options: CostOptions, warm_up: Iterable[tuple[Load, float]]) -> None:
        self._quantile = options.cost_quantile
        self._keep = float(np.exp(-1 / options.cost_memory))
        self._gram = np.zeros((3, 3))
        self._moment = np.zeros(3)
        measured = list(warm_up)
        for load, seconds in measured:
            self._add(_features(load), seconds)
        weight = self._PRIOR_WEIGHT / max(1, len(measured))
        self._prior = self._gram * weight, self._moment * weight
        self._gram, self._moment = np.zeros((3, 3)), np.zeros(3)
        self._shape = _fit(*self._prior)
        self._ratios: deque[tuple[float, float]] = deque([(math.inf, 1.0)] * self._PRIOR_RATIOS, maxlen=self._LOCAL)
        self._spreads: deque[tuple[float, float]] = deque(maxlen=self._SPREADS)
        self._observed = 0
        self._last_s = 0.0
        self.level = 1.0
        self.spread = 1.1  # until enough was seen

    def expected(self) -> Terms:
        """Return the terms of the time that a batch takes in the median."""
        return self._terms(self.level)

    def safe(self) -> Terms:
        """Return the terms of the time within which a batch comes back with the probability `cost_quantile`."""
        return self._terms(self.level * self.spread)

    def sure(self) -> Terms:
        """Return the terms of the time that hardly any batch exceeds."""
        return self._terms(self.level * self.caution)

    @property
    def caution(self) -> float:
        """How many times as long as expected hardly any batch takes: so much further from the median than `spread`."""
        return max(self.spread, min(self._MOST_CAUTION, 1 + self._SURE * (self.spread - 1)))

    def expect(self, load: Load) -> float:
        """Return the seconds that a batch takes in the median."""
        return self.expected().seconds(load)

    def predict(self, load: Load) -> float:
        """Return the seconds within which a batch comes back with the probability `cost_quantile`."""
        return self.safe().seconds(load)

    def observe(self, load: Load, seconds: float, now_s: float = 0.0) -> None:
        """Learn from a batch that took `seconds` and came back at `now_s`."""
        features = _features(load)
        fitted = float(features @ self._shape)
        if fitted > 0:
            self._follow(seconds / fitted, now_s)
        keep = self._keep * math.exp(min(0.0, self._last_s - now_s) / self._SHAPE_S)
        self._last_s = now_s
        self._gram *= keep
        self._moment *= keep
        if not self._is_odd(seconds, fitted * self.level):
            self._add(features, seconds / self.level)
        self._observed += 1
        is_early = self._observed < self._REFIT_EVERY and self._observed.bit_count() == 1  # 1, 2, 4, 8
        if is_early or self._observed % self._REFIT_EVERY == 0:
            self._shape = _fit(self._gram + self._prior[0], self._moment + self._prior[1])

    def _terms(self, times: float) -> Terms:
        per_pass, per_token, per_square = (self._shape * times).tolist()
        return Terms(per_pass, per_token / 1e3, per_square / 1e6)

    def _is_odd(self, seconds: float, expected: float) -> bool:
        low, high = sorted((seconds, expected))
        return 0 < low * self._ODD < high  # 0 is expected before anything was fitted

    def _follow(self, ratio: float, now_s: float) -> None:
        self._ratios.append((now_s, ratio))
        self.level = self._recent(self._ratios, 0.5, now_s)
        if len(self._ratios) == self._LOCAL:
            # The middle one against its neighbours on both sides: a step of the level is no spread.
            middle = sorted(ratio for _, ratio in self._ratios)[self._LOCAL // 2]
            at_s, ratio = self._ratios[self._LOCAL // 2]
            self._spreads.append((at_s, ratio / middle))
            self.spread = min(max(1.0, self._recent(self._spreads, self._quantile, now_s)), self._ODD)

    def _recent(self, values: Iterable[tuple[float, float]], quantile: float, now_s: float) -> float:
        """Return a quantile of values that are given as (seconds, value), the recent ones counting more."""
        ordered = sorted(
            (value, max(self._OLD, math.exp(min(0.0, at_s - now_s) / self._FRESH_S))) for at_s, value in values
        )
        below = np.cumsum([weight for _, weight in ordered])
        at = int(np.searchsorted(below, quantile * below[-1], side="right"))
        return ordered[min(at, len(ordered) - 1)][0]

    def _add(self, features: np.ndarray, seconds: float) -> None:
        scaled = features / max(seconds, 1e-9)
        self._gram += np.outer(scaled, scaled)
        self._moment += scaled


def _features(load: Load) -> np.ndarray:
    # In thousands and millions, so that the three coefficients are of like size and the equations well conditioned.
    return np.array((load.passes, load.tokens / 1e3, load.squares / 1e6))


def _fit(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Return the least-squares coefficients, none of them negative: the best of the seven subsets of three."""
    best, best_gain = np.zeros(3), 0.0
    for size in (3, 2, 1):
        for subset in combinations(range(3), size):
            chosen = list(subset)
            part = gram[np.ix_(chosen, chosen)]
            solved = np.linalg.lstsq(part, moment[chosen], rcond=1e-9)[0]
            if (solved < 0).any():
                continue
            # What the residual falls by, for a minimum-norm solution too.
            gain = float(2 * moment[chosen] @ solved - solved @ part @ solved)
            if gain > best_gain * (1 + 1e-12):
                best, best_gain = np.zeros(3), gain
                best[chosen] = solved
        if size == len(best) and best_gain:
            return best  # no subset is better than the whole
    return best

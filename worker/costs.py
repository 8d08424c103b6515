"""What a batch will take: T = a + b·tokens + c·Σlen², refitted as batches come back, read at a high quantile."""

from __future__ import annotations

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
        float, Gt(0), Lt(1), Doc("Share of batches whose time is to lie below what was predicted for them.")
    ] = 0.95
    cost_memory: Annotated[
        float, Ge(1), Doc("Batches after which a measured time has lost two thirds of its weight.")
    ] = 100.0


class Load(NamedTuple):
    """What a batch's time depends on: its tokens, and the sum of the squares of its pairs' tokens."""

    tokens: int
    squares: int


class CostModel:
    """Predicts the seconds of a batch, as shape x level x spread.

    The shape is the three coefficients, fitted by least squares on relative errors, so that small batches count as much
    as large ones; older batches are forgotten exponentially, and the warm-up stands behind with the weight of a few
    batches, so that a long run of equal ones cannot make the fit meaningless. A coefficient is never negative.
    The level is the median of the last batches' ratios of measured to fitted time: a device that slows down, or comes
    back, is followed within five batches, and does not bend the shape. The spread is a high quantile of the ratios
    around their local median.
    """

    _PRIOR_WEIGHT = 4.0  # of the warm-up, in batches,
    _PRIOR_RATIOS = 4  # and that it was right: the first batch often meets cold caches, and must not be the level
    _LOCAL = 9  # batches whose median is the level
    _SPREADS = 60  # batches whose ratios make the spread
    _ODD = 3.0  # so many times off, a batch says nothing of shape and spread: it stood still, or the level changes
    _REFIT_EVERY = 16  # the shape changes slowly, and solving costs ten times as much as the rest

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
        self._ratios: deque[float] = deque([1.0] * self._PRIOR_RATIOS, maxlen=self._LOCAL)
        self._spreads: deque[float] = deque(maxlen=self._SPREADS)
        self._observed = 0
        self.level = 1.0
        self.spread = 1.1  # until enough was seen

    def terms(self) -> tuple[float, float, float]:
        """Return a, b and c such that a batch takes at most a + b·tokens + c·Σlen² s, with the set probability."""
        fixed, per_token, per_square = (self._shape * (self.level * self.spread)).tolist()
        return fixed, per_token / 1e3, per_square / 1e6

    def predict(self, load: Load) -> float:
        """Return the seconds within which a batch comes back, with the probability `cost_quantile`."""
        fixed, per_token, per_square = self.terms()
        return fixed + per_token * load.tokens + per_square * load.squares

    def observe(self, load: Load, seconds: float) -> None:
        """Learn from a batch that took `seconds`."""
        features = _features(load)
        fitted = float(features @ self._shape)
        if fitted > 0:
            self._follow(seconds / fitted)
        self._gram *= self._keep
        self._moment *= self._keep
        if not self._is_odd(seconds, fitted * self.level):
            self._add(features, seconds / self.level)
        self._observed += 1
        if self._observed % self._REFIT_EVERY == 0:
            self._shape = _fit(self._gram + self._prior[0], self._moment + self._prior[1])

    def _is_odd(self, seconds: float, expected: float) -> bool:
        low, high = sorted((seconds, expected))
        return 0 < low * self._ODD < high  # 0 is expected before anything was fitted

    def _follow(self, ratio: float) -> None:
        self._ratios.append(ratio)
        ordered = sorted(self._ratios)
        self.level = ordered[len(ordered) // 2]
        if len(self._ratios) == self._LOCAL:
            # The middle one against its neighbours on both sides: a step of the level is no spread.
            self._spreads.append(self._ratios[self._LOCAL // 2] / self.level)
            ordered = sorted(self._spreads)
            quantile = ordered[min(len(ordered) - 1, int(self._quantile * len(ordered)))]
            self.spread = min(max(1.0, quantile), self._ODD)

    def _add(self, features: np.ndarray, seconds: float) -> None:
        scaled = features / max(seconds, 1e-9)
        self._gram += np.outer(scaled, scaled)
        self._moment += scaled


def _features(load: Load) -> np.ndarray:
    # In thousands and millions, so that the three coefficients are of like size and the equations well conditioned.
    return np.array((1.0, load.tokens / 1e3, load.squares / 1e6))


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

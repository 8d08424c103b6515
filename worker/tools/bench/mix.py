"""Mixes: values with their shares, as `100:0.7,300:0.3` on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Mix:
    """`values` and the share of each; the shares sum to 1."""

    values: tuple[float, ...]
    shares: tuple[float, ...]

    def draw(self, count: int, chance: np.random.Generator) -> np.ndarray:
        """Return `count` values in random order, each as often as its share says, to one: float64 (count,)."""
        edges = np.round(np.cumsum([0.0, *self.shares]) * count).astype(int)
        drawn = np.repeat(self.values, np.diff(edges))
        chance.shuffle(drawn)
        return drawn

    def mean(self) -> float:
        """Return the mean value."""
        return math.fsum(value * share for value, share in zip(self.values, self.shares, strict=True))

    def times(self, factor: float) -> Mix:
        """Return the mix with every value multiplied."""
        return Mix(tuple(value * factor for value in self.values), self.shares)

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return ",".join(f"{value:g}:{share:.3g}" for value, share in zip(self.values, self.shares, strict=True))


def parse_mix(flag: str, words: Sequence[str], *, low: float, high: float, whole: bool = False) -> Mix:
    """Return the mix that the words `value:share` describe; shares need not sum to 1, and a lone value needs none.

    Raises StopError(Exit.USAGE) that names the flag for a value outside `low` to `high`, or not whole where it must be.
    """
    values, weights = [], []
    for word in words:
        value, _, share = word.partition(":")
        try:
            values.append(float(value))
            weights.append(float(share or 1))
        except ValueError:
            raise StopError(Exit.USAGE, f"{flag}: expected value:share, several with commas, got {word!r}") from None
        if not low <= values[-1] <= high or (whole and not values[-1].is_integer()):
            kind = "a whole number" if whole else "a number"
            raise StopError(Exit.USAGE, f"{flag}: expected {kind} from {low:g} to {high:g}, got {value}")
        if not 0 < weights[-1] < math.inf:
            raise StopError(Exit.USAGE, f"{flag}: expected a share above 0, got {share}")
    if not values:
        raise StopError(Exit.USAGE, f"{flag}: expected value:share, several with commas, got nothing")
    total = math.fsum(weights)
    return Mix(tuple(values), tuple(weight / total for weight in weights))

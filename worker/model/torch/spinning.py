"""How long the threads of a forward pass spin where they wait for each other, before they sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# About what it takes to wake a thread. GNU's OpenMP, which torch brings, spins 300,000 times, which takes milliseconds:
# with other work on the cores a thread then spins for its whole time slice while the one it waits for cannot run.
_SPINS = "2000"
_THEIRS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def spin_briefly(environ: MutableMapping[str, str]) -> None:
    """Say so in this environment, which OpenMP reads once, when torch is imported; what is said there already counts.

    Measured in docs/performance.md, "Whole cores".
    """
    if not any(name in environ for name in _THEIRS):
        environ["GOMP_SPINCOUNT"] = _SPINS

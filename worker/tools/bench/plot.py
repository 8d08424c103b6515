"""Draws the figures of a bench into a PNG file, with matplotlib from the extra `bench`."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SIZE_INCHES = (8.0, 4.5)
_DPI = 120


def require_matplotlib() -> None:
    """Raise StopError(Exit.USAGE) where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise StopError(Exit.USAGE, "--plot needs matplotlib; install it with: pip install 'rerank-worker[bench]'")


def draw_lines(path: Path, *, title: str, x: str, y: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Draw one line of (x, y) points for each name; `x` and `y` name the axes with their units."""
    figure, axes = _figure(title)
    for name, points in series.items():
        axes.plot([at for at, _ in points], [value for _, value in points], marker="o", label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path)


def draw_bars(path: Path, *, title: str, y: str, values: Mapping[str, float]) -> None:
    """Draw one bar for each name."""
    figure, axes = _figure(title)
    bars = axes.bar(list(values), list(values.values()))
    axes.bar_label(bars, fmt="{:,.3g}")
    axes.set_ylabel(y)
    axes.tick_params(axis="x", labelrotation=20)
    figure.savefig(path)


def _figure(title: str) -> tuple[Any, Any]:
    require_matplotlib()
    from matplotlib.figure import Figure  # no window system is asked for

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes

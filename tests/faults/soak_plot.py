"""Draws a soak: memory, threads, open files and latency over time, with the restarts among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.tools.bench.plot import require_matplotlib

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.samples import Sample

_SIZE_INCHES = (9.0, 9.0)
_DPI = 110
_COLOURS = {"broker restarted": "tab:red", "worker killed": "tab:orange", "worker stopped": "tab:grey"}
_PANELS = (
    ("resident, MB", ("resident_mb",)),
    ("threads", ("threads",)),
    ("open files", ("files",)),
    ("latency, ms", ("latency_p50_ms", "latency_p99_ms")),
)


def draw(path: Path, samples: Sequence[Sample], events: Sequence[tuple[float, str]], *, title: str) -> None:
    """Write the plot as a PNG file. Raises StopError where matplotlib is not installed."""
    require_matplotlib()
    from matplotlib.figure import Figure  # no window system is asked for

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(len(_PANELS), 1, sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    for axes, (label, names) in zip(panels, _PANELS, strict=True):
        for name in names:
            axes.plot(minutes, [getattr(sample, name) for sample in samples], label=name.removeprefix("latency_"))
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
        _mark(axes, events)
    for axes in panels[:-1]:
        axes.set_ylim(bottom=0)
    panels[-1].set_yscale("log")
    panels[-1].set_xlabel("minutes")
    panels[-1].legend(loc="upper right")
    figure.savefig(path)


def _mark(axes: Any, events: Sequence[tuple[float, str]]) -> None:
    for at_s, what in events:
        axes.axvline(at_s / 60, color=_COLOURS[what], alpha=0.4, linewidth=0.8)

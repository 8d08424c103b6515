"""The figures of `bench delivery`: both deliveries' rates and latencies, and what exactly once costs of each."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worker.tools.bench.plot import draw_bars

if TYPE_CHECKING:
    from pathlib import Path

    from worker.tools.bench.report import Report


class Run(NamedTuple):
    """A run of one worker: its pairs a second at saturation, and the latencies of its lone events."""

    pairs_per_s: float
    latencies_ms: list[float]

    @property
    def median_ms(self) -> float:
        """The median latency."""
        return statistics.median(self.latencies_ms)


# Of each delivery, its runs; those of one number were made one after the other with the same events.
Runs = dict[str, list[Run]]


def tell(report: Report, runs: Runs) -> None:
    """Add the figures to a report."""
    for name, made in runs.items():
        report.add(f"delivery.{name}.pairs_per_second", "pairs/s", [run.pairs_per_s for run in made])
        report.add(f"delivery.{name}.latency_ms_p50", "ms", [run.median_ms for run in made])
        together = [value for run in made for value in run.latencies_ms]
        report.add(f"delivery.{name}.latency_ms_p99", "ms", float(np.quantile(together, 0.99, method="inverted_cdf")))
    least, exactly = runs["at_least_once"], runs["exactly_once"]
    added = [ours.median_ms - theirs.median_ms for ours, theirs in zip(exactly, least, strict=True)]
    report.add("delivery.added_ms_p50", "ms", added)
    report.add_ratio(
        "delivery.throughput_vs_at_least_once", [run.pairs_per_s for run in exactly], [run.pairs_per_s for run in least]
    )
    report.note(
        "Latencies are those of lone events, from sending one to reading its result as a reader of committed records; "
        "p50: the median over the runs, p99: of all events together."
    )


def draw(path: Path, runs: Runs) -> None:
    """Draw the latencies, which are what a reader notices."""
    medians = {name.replace("_", " "): statistics.median(run.median_ms for run in made) for name, made in runs.items()}
    draw_bars(path, title="bench delivery, lone events", y="latency p50, ms", values=medians)

"""The figures of `bench budget`: a table with a row for each load, what goes into the JSON file, and the curves."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from worker.tools.bench.verdicts import Tally, together

if TYPE_CHECKING:
    from worker.tools.bench.report import Report

# Of each process, load and worker, the runs.
Tallies = dict[tuple[str, float, str], list[Tally]]

_OUTCOMES = ("reranked", "partial", "passthrough")


def table(tallies: Tallies) -> Table:
    """Return a row for each process, load and worker. Shares in budget are medians of the runs, the rest is of all."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("arrivals", "load", "schedule"):
        shown.add_column(name, no_wrap=True)
    for name in (
        "events",
        "in budget",
        "met but\nlate",
        *_OUTCOMES,
        "p50 ms",
        "p99",
        "p99.9",
        "lost",
        "mis-\nlabelled",
    ):
        shown.add_column(name, justify="right")
    for (process, load, name), runs in tallies.items():
        total = together(runs)
        shown.add_row(
            process,
            f"{load:g}",
            name,
            f"{total.events:,}",
            f"{_median_share(runs):.1%}",
            f"{total.share_met_but_late:.1%}",
            *(f"{total.share_of(outcome):.1%}" for outcome in _OUTCOMES),
            *(f"{value:,.0f}" for value in total.quantiles_ms()),
            str(total.lost + total.refused),
            str(total.mislabelled),
        )
    return shown


def tell(report: Report, tallies: Tallies) -> None:
    """Add the table and the figures to a report, and what is wrong as notes."""
    report.add_table(table(tallies))
    faults: Counter[str] = Counter()
    for (process, load, name), runs in tallies.items():
        at = f"budget.{process}.load_{round(load * 100)}"
        _tell_runs(report, f"{at}.{name}", runs)
        faults += together(runs).faults
        if name == "worker" and (baseline := tallies.get((process, load, "fifo"))):
            _tell_ratio(report, f"{at}.vs_fifo", together(runs), together(baseline))
    for fault, count in faults.most_common():
        report.note(f"mislabelled: {fault}: {count}")


def _tell_ratio(report: Report, name: str, ours: Tally, theirs: Tally) -> None:
    """Note the ratio of the shares over all runs together; where none of theirs was in budget, one is counted."""
    least = max(1, theirs.in_budget) / theirs.events
    report.add_ratio(name, [ours.share_in_budget], [least])
    if not theirs.in_budget:
        report.note(f"{name} is a lower bound: none of {theirs.events:,} events was in budget in order of arrival.")


def _tell_runs(report: Report, at: str, runs: list[Tally]) -> None:
    total = together(runs)
    report.add(f"{at}.in_budget", "share of events", [run.share_in_budget for run in runs], in_table=False)
    report.add(f"{at}.said_in_budget", "share of events", total.claimed / total.events, in_table=False)
    report.add(f"{at}.met_but_late", "share of those", total.share_met_but_late, in_table=False)
    for outcome in _OUTCOMES:
        report.add(f"{at}.{outcome}", "share of events", total.share_of(outcome), in_table=False)
    for quantile, value in zip(("p50", "p99", "p99_9"), total.quantiles_ms(), strict=True):
        if math.isfinite(value):  # else so many were lost that there is none, and JSON has no infinity
            report.add(f"{at}.latency_ms_{quantile}", "ms", value, in_table=False)
    for what in ("events", "lost", "refused", "repeated", "mislabelled"):
        report.add(f"{at}.{what}", "events", getattr(total, what), in_table=False)


def curves(tallies: Tallies) -> dict[str, list[tuple[float, float]]]:
    """Return the share in budget by load for each process and worker."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (process, load, name), runs in tallies.items():
        found.setdefault(f"{process}, {name}", []).append((load, _median_share(runs)))
    return {name: sorted(points) for name, points in found.items()}


def _median_share(runs: list[Tally]) -> float:
    return statistics.median(run.share_in_budget for run in runs)

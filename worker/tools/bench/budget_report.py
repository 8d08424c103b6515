"""The figures of `bench budget`: a table with a row for each load, what goes into the JSON file, and the curves."""

from __future__ import annotations

import math
import os
import statistics
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from worker.tools.bench.result_checks import EventCounter, together

if TYPE_CHECKING:
    from worker.tools.bench.report import Report

# Of each process, load and worker, the runs.
Tallies = dict[tuple[str, float, str], list[EventCounter]]

_OUTCOMES = {"reranked": "whole", "partial": "partial", "passthrough": "unscored"}


def table(tallies: Tallies, capacity: float) -> Table:
    """Return a row for each process, load and worker.

    Goodput, as a share of the capacity in candidates a second, and the share in budget are medians of the runs; the
    rest is of all of them.
    """
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("arrivals", "load", "schedule"):
        shown.add_column(name, no_wrap=True)
    for name in (
        "events",
        "goodput",
        "scored",
        "in\nbudget",
        *_OUTCOMES.values(),
        "met but\nlate",
        "p50",
        "p99",
        "lost",
        "untrue",
        "host",
    ):
        shown.add_column(name, justify="right")
    for (process, load, name), runs in tallies.items():
        total = together(runs)
        shown.add_row(
            process,
            f"{load:g}",
            name,
            f"{total.events:,}",
            f"{_median_goodput(runs) / capacity:.2f}",
            f"{total.scored / total.offered:.2f}" if total.offered else "",
            f"{statistics.median(run.share_in_budget for run in runs):.1%}",
            *(f"{total.share_of(outcome):.1%}" for outcome in _OUTCOMES),
            f"{total.share_met_but_late:.1%}",
            *(f"{value:,.0f}" for value in total.quantiles_ms()[:2]),
            str(total.lost + total.refused),
            str(total.mislabelled),
            f"{_host_share(total):.0%}",
        )
    return shown


def tell(report: Report, tallies: Tallies, capacity: float, whole: EventCounter | None = None) -> None:
    """Add the table and the figures to a report, and what is wrong as notes.

    `capacity` is in candidates a second; `whole` are the judged queries, each scored as a whole.
    """
    report.add_table(table(tallies, capacity))
    report.note(
        "goodput: candidates scored in lists whose result was read within its budget, a second, as a share of the "
        "capacity. scored: of the candidates that were sent. untrue: results that say what is not so. host: share of "
        "the cores' time that all but the model took. p50 and p99 in ms."
    )
    if whole is not None:
        _tell_quality(report, tallies, whole)
    faults: Counter[str] = Counter()
    for (process, load, name), runs in tallies.items():
        at = f"budget.{process}.load_{round(load * 100)}"
        _tell_runs(report, f"{at}.{name}", runs, capacity)
        faults += together(runs).faults
        if name == "worker" and (baseline := tallies.get((process, load, "fifo"))):
            _tell_ratio(report, f"{at}.vs_fifo", together(runs), together(baseline))
    for fault, count in faults.most_common():
        report.note(f"mislabelled: {fault}: {count}")


def _tell_ratio(report: Report, name: str, ours: EventCounter, theirs: EventCounter) -> None:
    """Note the ratio of the shares over all runs together; where none of theirs was in budget, one is counted."""
    least = max(1, theirs.in_budget) / theirs.events
    report.add_ratio(name, [ours.share_in_budget], [least])
    if not theirs.in_budget:
        report.note(f"{name} is a lower bound: none of {theirs.events:,} events was in budget in order of arrival.")


def _tell_runs(report: Report, at: str, runs: list[EventCounter], capacity: float) -> None:
    total = together(runs)
    goodputs = [run.goodput / capacity for run in runs]
    report.add(f"{at}.goodput_per_capacity", "of the candidates at saturation", goodputs, in_table=False)
    report.add(f"{at}.scored_per_offered", "of the candidates", total.scored / max(1, total.offered), in_table=False)
    report.add(f"{at}.host_share", "of the cores' time", _host_share(total), in_table=False)
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


def _tell_quality(report: Report, tallies: Tallies, whole: EventCounter) -> None:
    """Add NDCG@10 of what was published at each load, beside the input order and lists that are scored as a whole."""
    came, best = np.mean(whole.ndcgs, axis=0).tolist()
    report.add("budget.quality.input_order", "NDCG@10", came)
    report.add("budget.quality.whole", "NDCG@10", best)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("arrivals", "load", "schedule", "NDCG@10", "of that of whole lists"):
        shown.add_column(name, justify="right")
    for (process, load, name), runs in tallies.items():
        found = [float(np.mean([after for _, after in run.ndcgs])) for run in runs]
        report.add(f"budget.{process}.load_{round(load * 100)}.{name}.ndcg_10", "NDCG@10", found, in_table=False)
        value = statistics.median(found)
        shown.add_row(process, f"{load:g}", name, f"{value:.3f}", f"{value / best:.3f}")
    report.add_table(shown)


def curves(tallies: Tallies, capacity: float) -> dict[str, list[tuple[float, float]]]:
    """Return goodput as a share of the capacity by load for each process and worker."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (process, load, name), runs in tallies.items():
        found.setdefault(f"{process}, {name}", []).append((load, _median_goodput(runs) / capacity))
    return {name: sorted(points) for name, points in found.items()}


def _median_goodput(runs: list[EventCounter]) -> float:
    return statistics.median(run.goodput for run in runs)


def _host_share(total: EventCounter) -> float:
    """Return the share of all cores' time that all but the model took: worker, broker, bench, and other programs."""
    return total.host_s / (total.took_s * (os.cpu_count() or 1)) if total.took_s else 0.0

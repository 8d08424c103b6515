"""The figures of `bench capacity`: the rate that held, how sure that is, and the replicas for a traffic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from worker.exits import Exit, StopError
from worker.tools.bench.plot import draw_lines
from worker.tools.bench.queue_bound import highest_rate
from worker.tools.bench.rate_search import least_events, replicas_for

if TYPE_CHECKING:
    from worker.tools.bench.capacity_options import CapacityOptions
    from worker.tools.bench.lone import Lone
    from worker.tools.bench.rate_search import Found
    from worker.tools.bench.report import Report

# Times the candidates of a list, the tokens of a pair, and the budget.
_CHANGES = ((1.0, 1.0, 1.0), (0.5, 1.0, 1.0), (1.0, 0.5, 1.0), (1.0, 1.0, 2.0), (0.5, 0.5, 1.0), (0.5, 1.0, 2.0))


def conclude(report: Report, found: Found, saturation: float, alone: Lone, options: CapacityOptions) -> None:
    """Print, write and draw what was found; only then raise StopError where the traffic cannot be served."""
    bound = _bound(alone, options)
    _tell(report, found, saturation, options)
    _tell_bound(report, found, bound)
    _tell_why(report, found, alone, options)
    report.add_table(_grid(found, bound, alone, options))
    report.finish(options.json)
    if options.plot is not None:
        points = sorted((trial.rate, trial.share) for trial in found.trials)
        draw_lines(options.plot, title="bench capacity", x="events/s", y="share in budget", series={"one run": points})
    if options.traffic is not None and not found.rate:
        raise StopError(Exit.USAGE, f"--traffic: no number of replicas holds a budget of {options.budget_ms:g} ms")


def _tell(report: Report, found: Found, saturation: float, options: CapacityOptions) -> None:
    report.add("capacity.saturation.events_per_second", "events/s", saturation)
    report.add("capacity.events_per_second", "events/s", found.rate)
    report.add("capacity.pairs_per_second", "pairs/s", found.rate * options.candidates)
    report.add_ratio("capacity.vs_saturation", [found.rate], [saturation])
    if found.rate:
        for name, value in (("share", found.share), ("share_low_95", found.low), ("share_high_95", found.high)):
            report.add(f"capacity.{name}", "of events reranked in budget", value)
        report.add("capacity.events", "events at this rate", found.events)
    if math.isfinite(found.fails_at):
        report.add("capacity.fails_at_events_per_second", "events/s", found.fails_at)
    tried = ", ".join(f"{trial.rate:.1f}: {trial.share:.1%} of {trial.events}" for trial in found.trials)
    report.note(
        f"Rates tried, events/s, and the share that was reranked and read within {options.budget_ms:g} ms: {tried}."
    )
    if options.traffic is not None and found.rate:
        _tell_replicas(report, found, options, options.traffic)


def _bound(alone: Lone, options: CapacityOptions, *, work: float = 1.0, budget: float = 1.0) -> float:
    """Return the rate that the queueing bound holds for so many times the work and the budget."""
    beside_s = alone.latencies_s - alone.model_s
    return highest_rate(
        (work * alone.model_s).tolist(),
        beside_s.tolist(),
        budget_s=budget * options.budget_ms / 1000,
        share=options.share,
    )


def _tell_bound(report: Report, found: Found, bound: float) -> None:
    report.add("capacity.queueing_bound.events_per_second", "events/s", bound)
    if bound:
        report.add_ratio("capacity.vs_queueing_bound", [found.rate], [bound])
    report.note(
        "capacity.queueing_bound: the rate that a queue holds whose lists take what they take alone, one after the "
        "other in the order of arrival (M/G/1). Lists that share batches take less."
    )


def _tell_why(report: Report, found: Found, alone: Lone, options: CapacityOptions) -> None:
    """Tell apart a list that is too large even alone, a machine that is not steady, and too few events."""
    late_alone = float(np.mean(alone.latencies_s > options.budget_ms / 1000))
    if late_alone > 1 - options.share:
        report.note(
            f"Too large even alone: {late_alone:.0%} of the lists took longer than {options.budget_ms:g} ms with "
            f"nothing else to do (p50 {np.median(alone.latencies_s) * 1000:,.0f} ms)."
        )
    elif not found.rate:
        report.note(
            f"No rate that was tried has {options.share:.0%} whole and in budget, though a list alone has: too many "
            "meet in the queue, or the machine was not steady. Try more --repeat, which search lower rates."
        )
    if found.rate > found.fails_at:
        report.note(
            f"Noisy: {found.fails_at:.1f} events/s did not hold though {found.rate:.1f} did: the machine was not "
            "steady. Measure on a quiet one, or longer (--seconds, --repeat), before you count on it."
        )
    elif found.rate and found.low < options.share:
        report.note(
            f"Too few events to be sure: {found.events} show a share of {found.low:.2%} to {found.high:.2%} "
            f"(95%, Wilson); to say {options.share:.0%} with all of them good takes {least_events(options.share):,}. "
            "Measure longer (--seconds)."
        )


def _grid(found: Found, bound: float, alone: Lone, options: CapacityOptions) -> Table:
    """Return what other lists, texts and budgets would do to the rate, by the queueing bound, and their replicas.

    What was found, where it is known, says which share of the bound this machine reaches.
    """
    reached = min(1.0, found.rate / bound) if bound and found.rate else 1.0
    traffic = options.traffic or found.rate or bound
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title="what would help, estimated", title_justify="left")
    for name in ("candidates", "tokens of a pair", "budget ms", "events/s", f"replicas for {traffic:.3g} events/s"):
        shown.add_column(name, justify="right")
    for candidates, tokens, budget in _CHANGES:
        rate = reached * _bound(alone, options, work=candidates * tokens, budget=budget)
        replicas = str(replicas_for(traffic, rate, options.headroom)) if rate else "none is enough"
        shown.add_row(
            f"{max(1, round(candidates * options.candidates))}",
            "as they are" if tokens == 1 else f"{tokens:g} times (--max-length)",
            f"{budget * options.budget_ms:g}",
            f"{rate:.1f}",
            replicas,
        )
    return shown


def _tell_replicas(report: Report, found: Found, options: CapacityOptions, traffic: float) -> None:
    replicas = replicas_for(traffic, found.rate, options.headroom)
    report.add("capacity.replicas", "replicas", replicas)
    report.note(
        f"replicas = ceil(traffic x (1 + headroom) / rate) = ceil({traffic:g} x {1 + options.headroom:g} / "
        f"{found.rate:.1f}) = {replicas}, each on a machine like this one, and at least as many partitions."
    )

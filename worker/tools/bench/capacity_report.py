"""The figures of `bench capacity`: the rate that held, how sure that is, and the replicas for a traffic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError
from worker.tools.bench.plot import draw_lines
from worker.tools.bench.rate_search import replicas_for

if TYPE_CHECKING:
    from worker.tools.bench.capacity_options import CapacityOptions
    from worker.tools.bench.rate_search import Found
    from worker.tools.bench.report import Report


def conclude(report: Report, found: Found, saturation: float, options: CapacityOptions) -> None:
    """Print, write and draw what was found; only then raise StopError where the traffic cannot be served."""
    _tell(report, found, saturation, options)
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
    if found.rate > found.fails_at:
        report.note(
            f"{found.fails_at:.1f} events/s did not hold though {found.rate:.1f} did: the machine was not steady. "
            "Measure on a quiet one, or longer (--seconds, --repeat), before you count on it."
        )
    if not found.rate:
        report.note(f"No rate that was tried has {options.share:.0%} in budget: the budget is too small for this list.")
    elif found.low < options.share:
        report.note(
            f"{found.events} events show a share of {found.low:.2%} to {found.high:.2%} (95%, Wilson): measure longer "
            f"(--seconds) to be sure of {options.share:.0%}."
        )
    if options.traffic is not None and found.rate:
        _tell_replicas(report, found, options, options.traffic)


def _tell_replicas(report: Report, found: Found, options: CapacityOptions, traffic: float) -> None:
    replicas = replicas_for(traffic, found.rate, options.headroom)
    report.add("capacity.replicas", "replicas", replicas)
    report.note(
        f"replicas = ceil(traffic x (1 + headroom) / rate) = ceil({traffic:g} x {1 + options.headroom:g} / "
        f"{found.rate:.1f}) = {replicas}, each on a machine like this one, and at least as many partitions."
    )

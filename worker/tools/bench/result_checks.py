"""Judges results against what was measured: in budget or not, complete or not, and whether they say so truthfully."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.tools import summary as figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SUMMED = (
    *("events", "in_budget", "claimed", "met_but_late", "lost", "repeated", "refused"),
    *("offered", "scored", "useful", "took_s", "host_s"),
)
QUANTILES = (0.5, 0.99, 0.999)


@dataclass(slots=True)
class Flown:
    """One event of an open-loop run and what came back. Times are seconds after the moment it was meant to be sent.

    `came_s` is when its result was read, NaN where none came; `published_s` is the result's own timestamp. `copies`
    counts the results, `result` is the first of them, `refused` the message of a dead letter. It was to be sent `at_s`
    seconds after the start of its run. `relevance`, float64 (candidates,), is what its candidates were judged.
    """

    candidates: int
    budget_s: float
    came_s: float = math.nan
    published_s: float = math.nan
    result: Any = None
    copies: int = 0
    refused: str | None = None
    at_s: float = 0.0
    relevance: np.ndarray | None = None

    @property
    def scored(self) -> int:
        """How many candidates of its result have a score."""
        return 0 if self.result is None else sum(row["score"] is not None for row in self.result["ranking"])

    @property
    def in_budget(self) -> bool:
        """Whether its result was read within its budget."""
        return self.came_s <= self.budget_s


@dataclass(slots=True)
class EventCounter:
    """What a run amounts to. `faults` counts the results that say what is not so, by what it is.

    `claimed` counts those that say that their deadline was met, `met_but_late` those of them that were read after it.
    `offered` candidates came, `scored` of them have a score, `useful` of those in lists that were read within their
    budgets. It took `took_s` seconds from the first event to the last result; `host_s` are the processor seconds of all
    but the model, on all cores. `ndcgs` are NDCG@10 of each judged list, as it came and as it was published.
    """

    events: int = 0
    in_budget: int = 0
    claimed: int = 0
    met_but_late: int = 0
    lost: int = 0
    repeated: int = 0
    refused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    offered: int = 0
    scored: int = 0
    useful: int = 0
    took_s: float = 0.0
    host_s: float = 0.0
    ndcgs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Candidates scored in lists that were read within their budgets, a second."""
        return self.useful / self.took_s if self.took_s else 0.0

    @property
    def share_in_budget(self) -> float:
        """The share of all events, the lost ones included, whose result was read within its budget."""
        return self.in_budget / self.events

    @property
    def share_met_but_late(self) -> float:
        """The share of the results that say met which were read after their budget, by whatever time; 0 without any."""
        return self.met_but_late / self.claimed if self.claimed else 0.0

    @property
    def mislabelled(self) -> int:
        """How many results say what is not so."""
        return self.faults.total()

    def share_of(self, outcome: str) -> float:
        """Return the share of all events with this outcome."""
        return self.outcomes[outcome] / self.events

    def quantiles_ms(self) -> list[float]:
        """Return p50, p99 and p99.9 of the latency in milliseconds, each a value that occurred; a lost event's is inf.

        So few events lie beyond p99.9 in a short run that it is the largest value there.
        """
        latencies = [*self.latencies_s, *[math.inf] * self.lost]
        return [float(value) * 1000 for value in np.quantile(latencies, QUANTILES, method="inverted_cdf")]


def tally(flown: Iterable[Flown], *, tolerance_s: float) -> EventCounter:
    """Count a run. `tolerance_s` is by how much a result may be wrong about its deadline (`fault_of`)."""
    counted = EventCounter()
    flown = list(flown)
    ends_s = [each.at_s + each.came_s for each in flown if each.result is not None]
    counted.took_s = max(ends_s, default=0.0) - min((each.at_s for each in flown), default=0.0)
    for each in flown:
        counted.events += 1
        counted.offered += each.candidates
        counted.scored += each.scored
        counted.useful += each.scored if each.in_budget else 0
        if each.relevance is not None:
            counted.ndcgs.append(_ndcg(each.relevance, each.result))
        counted.in_budget += each.in_budget
        counted.repeated += max(0, each.copies - 1)
        if each.refused is not None:
            counted.refused += 1
        elif each.result is None:
            counted.lost += 1
        else:
            counted.latencies_s.append(each.came_s)
            counted.claimed += each.result["deadline_met"]
            counted.met_but_late += each.result["deadline_met"] and not each.in_budget
            counted.outcomes[each.result["outcome"]] += 1
            if fault := fault_of(each, tolerance_s):
                counted.faults[fault] += 1
    return counted


def together(tallies: Sequence[EventCounter]) -> EventCounter:
    """Return the sum of several runs."""
    total = EventCounter()
    for each in tallies:
        for name in _SUMMED:
            setattr(total, name, getattr(total, name) + getattr(each, name))
        total.outcomes += each.outcomes
        total.faults += each.faults
        total.latencies_s += each.latencies_s
        total.ndcgs += each.ndcgs
    return total


def _ndcg(relevance: np.ndarray, result: Any) -> tuple[float, float]:
    """Return NDCG@10 of a list as it came, and as it was published; 0 where no result came."""
    return figures.ndcg_before_and_after(relevance, result["ranking"]) if result else (0.0, 0.0)


def fault_of(flown: Flown, tolerance_s: float) -> str | None:
    """Return what a result says that is not so, or None.

    The worker decides before it publishes whether a deadline is met, and may be careful: `deadline_met` is a fault of a
    result published more than `tolerance_s` after its budget, or read more than that before its end.
    """
    result = flown.result
    if result["deadline_met"] and flown.published_s > flown.budget_s + tolerance_s:
        return "deadline_met, but published late"
    if not result["deadline_met"] and flown.came_s < flown.budget_s - tolerance_s:
        return "deadline missed, but read in time"
    return _fault_of_ranking(result["outcome"], result["ranking"], flown.candidates)


def _fault_of_ranking(outcome: str, ranking: Sequence[Any], candidates: int) -> str | None:
    if sorted(row["previous_rank"] for row in ranking) != list(range(1, candidates + 1)):
        return "not every candidate, once"
    scores = [row["score"] for row in ranking if row["score"] is not None]
    rest = [row["previous_rank"] for row in ranking[len(scores) :]]
    if any(row["score"] is None for row in ranking[: len(scores)]):
        return "an unscored candidate before a scored one"
    if scores != sorted(scores, reverse=True):
        return "not in the order of the scores"
    if rest != sorted(rest):
        return "unscored candidates not in their order"
    expected = "reranked" if not rest else "partial" if scores else "passthrough"
    return None if outcome == expected else f"called {outcome}, but {expected}"

"""The figures of `bench budget` have the same names whatever was measured."""

from __future__ import annotations

from collections import Counter

import pytest

from worker.tools.bench.budget_report import tell
from worker.tools.bench.environment import Environment
from worker.tools.bench.report import Report
from worker.tools.bench.result_checks import EventCounter

RATIO = "budget.poisson.load_120.vs_fifo"


def run(in_budget: int, events: int = 100) -> EventCounter:
    """A run of events of which so many were read in their budget."""
    latencies_s = [0.01] * events
    return EventCounter(
        events, in_budget, claimed=in_budget, outcomes=Counter(reranked=events), latencies_s=latencies_s
    )


def told(worker: list[EventCounter], fifo: list[EventCounter]) -> Report:
    report = Report("bench budget", Environment())
    tell(report, {("poisson", 1.2, "worker"): worker, ("poisson", 1.2, "fifo"): fifo}, capacity=100.0)
    return report


def test_the_ratio_to_the_order_of_arrival_is_that_of_all_runs_together() -> None:
    # Of the medians of single runs it would be infinite.
    assert told([run(80), run(90)], [run(0), run(10)]).value(RATIO) == pytest.approx(17)


def test_where_none_was_in_budget_in_order_of_arrival_the_ratio_is_a_lower_bound_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = told([run(80), run(90)], [run(0), run(0)])
    assert report.value(RATIO) == pytest.approx(170)
    report.finish(None)
    shown = capsys.readouterr().out
    assert f"{RATIO} is a lower bound: none of 200 events" in shown
    assert "…" not in shown  # as wide as the table is, nothing of it is cut off

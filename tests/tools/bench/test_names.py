"""Every figure of every bench has its row in docs/performance.md, and every row its figure."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.tools.bench.names import documented, undocumented, unreported
from worker.model.random_model import SHAPES
from worker.tools.bench import (
    budget_report,
    capacity_report,
    delivery_report,
    host_report,
    lone,
    rivals,
    scorer,
    shapes_report,
    stream,
)
from worker.tools.bench.capacity_options import CapacityOptions
from worker.tools.bench.environment import Environment
from worker.tools.bench.host_run import Window
from worker.tools.bench.rate_search import Found, Trial
from worker.tools.bench.report import Report
from worker.tools.bench.result_checks import EventCounter
from worker.tools.bench.traffic import Published

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = ("main", "tokenize", "score", "publish", "kafka-io-rerank-worker", "rerank-worker-network-thread", "other")


def _scorer(report: Report) -> None:
    model: Any = SimpleNamespace(backend_name="torch", dtype="bfloat16")
    scorer._tell(report, model, [scorer.Run(1.0, 80.0, 0.1)], [1.0])


def _shapes(report: Report) -> None:
    run = shapes_report.Run(1.0, np.array([128]), 0.1)
    ways = {way: [run] for way in ("unpadded", "padded", "sentence_transformers")}
    runs = dict.fromkeys(("tokens_128", "mixed"), ways)
    shapes_report.tell(report, 1e12, [shapes_report.Measured(SHAPES[0], runs, [5.0])])


def _host(report: Report) -> None:
    window = Window(10, 1.0, dict.fromkeys(THREADS, 0.1))
    runs = {"cold": [window], "warm": [window]}
    host_report.tell(report, host_report.Measured(50, 2, dict.fromkeys(runs, Published(10, 1.0)), runs, [1.0], [2.0]))


def _stream(report: Report) -> None:
    stream._tell(report, [1.0], {name: [1.0] for name in ("worker", *rivals.NAMES)})


def _budget(report: Report) -> None:
    report.add("budget.capacity.events_per_second", "events/s", 1.0)
    report.add("budget.capacity.candidates_per_second", "candidates/s", 1.0)
    tally = EventCounter(1, 1, outcomes=Counter(reranked=1), latencies_s=[0.1], ndcgs=[(0.3, 0.9)])
    runs = {("bursty", 0.85, name): [tally] for name in ("worker", "fifo")}
    budget_report.tell(report, runs, capacity=1.0, whole=tally)
    seconds = np.array([0.1])
    lone.tell(report, lone.Lone(seconds, seconds, seconds, {"decode": 0.1}))


def _capacity(report: Report) -> None:
    found = Found(4.0, 8.0, 0.99, 0.9, 1.0, 100, (Trial(4.0, 99, 100),))
    alone = lone.Lone(np.array([0.1]), np.array([0.05]), np.array([0.01]), {"decode": 0.1})
    lone.tell(report, alone)
    capacity_report.conclude(report, found, 10.0, alone, CapacityOptions(traffic=9.0))


def _delivery(report: Report) -> None:
    delivery_report.tell(
        report, {name: [delivery_report.Run(1.0, [5.0])] for name in ("at_least_once", "exactly_once")}
    )


BENCHES = {
    "scorer": (_scorer, ("scorer.",)),
    "shapes": (_shapes, ("shapes.",)),
    "host": (_host, ("host.",)),
    "stream": (_stream, ("stream.",)),
    "budget": (_budget, ("budget.", "lone.")),
    "capacity": (_capacity, ("capacity.",)),
    "delivery": (_delivery, ("delivery.",)),
}


@pytest.mark.parametrize("bench", BENCHES)
def test_a_report_and_its_table_have_the_same_names(bench: str) -> None:
    tell: Callable[[Report], None]
    tell, beginnings = BENCHES[bench]
    report = Report(f"bench {bench}", Environment())
    tell(report)
    names = {each["name"] for kind in ("results", "ratios") for each in report.as_dict()[kind]}
    assert undocumented(names) == set()
    assert unreported(names, *beginnings) == set()


def test_every_name_of_the_page_belongs_to_a_bench() -> None:
    beginnings = tuple(one for _, each in BENCHES.values() for one in each)
    assert [name for name in documented() if not name.startswith(beginnings)] == []


def test_a_name_that_the_page_has_not_is_found() -> None:
    assert undocumented({"scorer.torch.float32.pairs_per_second", "scorer.speed", "host.cold"}) == {
        "scorer.speed",
        "host.cold",
    }

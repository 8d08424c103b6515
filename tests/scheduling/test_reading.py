"""In overload Kafka is read in larger portions, and less of a list is tokenized: both end with the overload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scheduling.per_token import scheduler_of
from tests.support import making

if TYPE_CHECKING:
    from worker.scheduling.scheduler import Scheduler

SECONDS = 600
BUDGET_S = 100.0  # ten lists


def _run(scheduler: Scheduler, load: float) -> None:
    """Let lists of 10 tokens come, as many as the device can do in `load` times the seconds, and score what it can."""
    now_s, came = 0.0, 0
    while now_s < SECONDS:
        while came * 10 < now_s * load:
            job = making.job(5, 5, deadline_s=came * 10 / load + BUDGET_S, offset=came)
            job.created_s = came * 10 / load
            scheduler.add(job)
            came += 1
        dispatch = scheduler.next_batch(now_s)
        now_s += max(0.5, dispatch.load.tokens)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_below_saturation_kafka_is_read_at_once(load: float) -> None:
    scheduler = scheduler_of(budget=100)
    _run(scheduler, load)
    assert scheduler.read_interval_s == 0


def test_in_overload_it_is_read_a_few_times_in_a_short_budget() -> None:
    scheduler = scheduler_of(budget=100)
    _run(scheduler, 4)
    assert scheduler.read_interval_s == pytest.approx(0.03)  # the budget is long: no list waits longer than that
    assert 0 < scheduler.expected_share < 1


def test_once_nothing_waits_what_comes_next_is_read_at_once_and_tokenized_as_a_whole() -> None:
    scheduler = scheduler_of(budget=100)
    _run(scheduler, 4)
    now_s = 10_000.0
    while scheduler:
        now_s += max(0.5, scheduler.next_batch(now_s).load.tokens)
    scheduler.next_batch(now_s)
    assert scheduler.read_interval_s == 0
    assert scheduler.expected_share == 1

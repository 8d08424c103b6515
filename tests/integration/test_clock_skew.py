"""What a worker says of the clocks of its producers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.line import Worker

pytestmark = pytest.mark.broker

HOUR_S = 3600


def _skew(worker: Worker) -> Callable[[str], float]:
    return lambda direction: worker.metric("rerank_clock_skew_seconds", direction=direction)


def test_a_backlog_is_old_and_proves_nothing_but_what_comes_later_is_not_so_old(line: Line) -> None:
    hour_ago_ms = int((time.time() - HOUR_S) * 1000)
    line.publish((event(number, candidates=1) for number in range(30)), timestamp_ms=hour_ago_ms)
    worker = line.start(module="tests.integration.light_worker")
    skew = _skew(worker)
    worker.until("the backlog is done", lambda: worker.metric("rerank_events_total") == 30)
    line.publish(event(number, candidates=1) for number in range(30, 33))
    worker.until("what came later is done", lambda: worker.metric("rerank_events_total") == 33)
    assert skew("behind") < HOUR_S / 10
    assert skew("ahead") < HOUR_S / 10
    line.publish([event(33, candidates=1)], timestamp_ms=hour_ago_ms)
    worker.until("a clock is behind", lambda: skew("behind") > HOUR_S - 60)
    assert skew("ahead") < HOUR_S / 10


def test_a_list_that_was_stamped_in_the_future_shows_it_and_has_its_budget_from_its_receipt(line: Line) -> None:
    worker = line.start(module="tests.integration.light_worker")
    in_an_hour_ms = int((time.time() + HOUR_S) * 1000)
    line.publish([event(0, candidates=1, budget_ms=60_000)], timestamp_ms=in_an_hour_ms)
    worker.until("a clock is ahead", lambda: _skew(worker)("ahead") > HOUR_S - 60)
    worker.until("it is reranked", lambda: worker.metric("rerank_events_total", outcome="reranked") == 1)
    assert worker.metric("rerank_event_latency_seconds_sum") < HOUR_S / 10

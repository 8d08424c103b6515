"""What the metrics say of work that is not done: also where nothing happens, and where nothing is received."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.line import Line, Worker, event

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.apache, pytest.mark.broker]

NONE = (0.0, 0.0)


def _start(line: Line, *, event_s: float, **options: Any) -> Worker:
    environment = {"LIGHT_WORKER_EVENT_S": str(event_s)}
    return line.start(module="tests.integration.light_worker", environment=environment, **options)


def _lags(worker: Worker) -> Mapping[int, tuple[float, float]]:
    """Return records and seconds of each partition that has both series."""
    series = {
        (sample.name, int(sample.labels["partition"])): sample.value
        for family in text_string_to_metric_families(worker.get("/metrics")[1])
        for sample in family.samples
        if "lag" in sample.name
    }
    partitions = {partition for _, partition in series}
    return {
        each: (series["rerank_consumer_lag_records", each], series["rerank_consumer_lag_seconds", each])
        for each in partitions
    }


def test_partitions_without_any_records_have_their_series_which_go_with_them(line: Line) -> None:
    first = _start(line, event_s=0.002)
    assert _lags(first) == {0: NONE, 1: NONE, 2: NONE}
    second = _start(line, event_s=0.002)
    second.until("it has its share", lambda: len(_lags(second)) > 0)
    first.until("each has its share", lambda: len(_lags(first)) + len(_lags(second)) == 3)
    assert _lags(first).keys().isdisjoint(_lags(second))


def test_a_backlog_shows_in_records_and_in_the_age_of_its_oldest_and_is_gone_when_all_is_done(line: Line) -> None:
    hour_ago_ms = int((time.time() - 3600) * 1000)
    sent = line.publish((event(number, candidates=2) for number in range(600)), timestamp_ms=hour_ago_ms)
    worker = _start(line, event_s=0.01, max_in_flight_tokens=1000)
    seen: list[float] = []

    def drained() -> bool:
        lags = _lags(worker).values()
        seen.append(sum(records for records, _ in lags))
        assert seen[-1] <= len(sent)
        for records, seconds in lags:  # never something in between: each record is an hour old
            assert seconds == 0 if records == 0 else seconds > 3590 or seconds < 10
        return seen[-1] == 0 and worker.metric("rerank_events_total") == len(sent)

    worker.until("all are done", drained)
    assert max(seen) > len(sent) / 4


def test_what_comes_while_all_partitions_are_paused_shows_although_nothing_is_received(line: Line) -> None:
    worker = _start(line, event_s=45, max_in_flight_tokens=16, max_poll_records=1)
    line.publish([event(1, candidates=2)], partition=0)
    worker.until("the in-flight limit is reached", lambda: worker.metric("rerank_partitions_paused") == 3)
    line.publish([event(2), event(3)], partition=0)
    line.publish((event(number) for number in range(50)), partition=1)

    def shows() -> bool:
        lags = _lags(worker)
        return [lags[each][0] for each in range(3)] == [3, 50, 0] and min(lags[0][1], lags[1][1]) > 3

    worker.until("it shows", shows)
    assert _lags(worker)[2] == NONE
    assert worker.metric("rerank_events_total") == 0

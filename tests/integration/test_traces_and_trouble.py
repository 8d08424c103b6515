"""Traces of what goes wrong and is done again, of a collector that is not there, and of nothing at all."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from tests.integration.collector import Collector
from tests.integration.line import Line, event, wait_until
from tests.integration.tracing import PARENT, SAMPLED, TRACE, start, traceparent

if TYPE_CHECKING:
    from tests.integration.collector import Span

pytestmark = pytest.mark.broker


def test_a_record_that_is_read_again_has_a_span_for_each_time(line: Line, collector: Collector) -> None:
    worker = start(line, collector.url, commit_interval_s=600)
    ((_, offset),) = line.publish([event(1)], headers=[("traceparent", SAMPLED)])
    wait_until("the first span comes", lambda: len(collector.events()) == 1)
    worker.kill()
    start(line, collector.url)
    results = line.read(line.results, 2)
    wait_until("the second span comes", lambda: len(collector.events()) == 2)
    assert {(found.trace_id, found.parent_id) for found in collector.events()} == {(TRACE, PARENT)}
    assert [found.attributes["messaging.kafka.offset"] for found in collector.events()] == [offset, offset]
    sent = [collector.children(found)[f"send {line.results}"][0].span_id for found in collector.events()]
    assert sorted(sent) == sorted(traceparent(result)[1] for result in results)


@pytest.mark.apache
def test_a_transaction_that_is_given_up_shows_as_a_failed_try_of_its_events(line: Line, collector: Collector) -> None:
    environment = {"LIGHT_WORKER_FAULT": "before the commit"}
    given = {"delivery": "exactly-once", "transactional_id": line.group, "transaction_events": 5}
    start(line, collector.url, environment=environment, **given)
    count = 60
    line.publish((event(number) for number in range(count)), headers=[("traceparent", SAMPLED)])
    results = line.read(line.results, count, isolation_level="read_committed")

    def done() -> dict[str, Span]:
        events = {found.span_id: found for found in collector.events() if "rerank.outcome" in found.attributes}
        sendings = [span for span in collector.spans if span.name == f"send {line.results}"]
        return {span.span_id: events[span.parent_id] for span in sendings if span.parent_id in events}

    wait_until("every event has come", lambda: len(done()) == count)
    assert {traceparent(result)[1] for result in results} == done().keys()
    dropped = [found for found in collector.events() if found.attributes.get("error.type") == "dropped"]
    assert dropped
    assert len(collector.events()) == count + len(dropped)


@pytest.mark.parametrize("collecting", ["nobody", "one that hangs"])
def test_a_collector_that_does_not_answer_stops_nothing_and_is_one_line(line: Line, collecting: str) -> None:
    with Collector(hanging=True) as collector:
        url = collector.url if collecting == "one that hangs" else "http://127.0.0.1:9"
        environment = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "100"}
        environment["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "100"
        worker = start(line, url, environment=environment, log_format="json", drain_timeout_s=5)
        line.publish(event(number) for number in range(500))
        assert len(line.read(line.results, 500)) == 500
        worker.until("it says so", lambda: "spans_lost" in worker.log.read_text())
        began_s = time.monotonic()
        assert worker.stop(grace_s=40) == 0
        assert time.monotonic() - began_s < 30
    said = [json.loads(each) for each in worker.log.read_text().splitlines()]
    (lost,) = [each for each in said if each["logger"].startswith(("worker.traces", "opentelemetry"))]
    assert (lost["event"], lost["level"]) == ("spans_lost", "warning")
    assert lost["spans"] > 0
    assert lost["endpoint"] == f"{url}/v1/traces"
    assert lost["error"]


def test_a_stop_sends_what_is_left(line: Line, collector: Collector) -> None:
    worker = start(line, collector.url, environment={"OTEL_BSP_SCHEDULE_DELAY": "600000"})
    line.publish(event(number) for number in range(20))
    line.read(line.results, 20)
    assert collector.spans == []
    assert worker.stop(grace_s=40) == 0
    assert len(collector.events()) == 20


@pytest.mark.parametrize("traces", ["off", "otlp"])
def test_nothing_of_opentelemetry_is_imported_while_it_is_off(line: Line, collector: Collector, traces: str) -> None:
    worker = start(line, collector.url, environment={"PYTHONPROFILEIMPORTTIME": "1"}, traces=traces)
    line.publish([event(1), b"{"], headers=[("traceparent", SAMPLED)])
    (result,), (letter,) = line.read(line.results, 1), line.read(line.dead_letters, 1)
    assert worker.stop(grace_s=40) == 0
    imported = worker.log.read_text()
    assert "worker.stages.publish" in imported
    assert ("opentelemetry" in imported) == (traces == "otlp")
    came_through = [dict(record.headers)["traceparent"] == SAMPLED for record in (result, letter)]
    assert came_through == [traces == "off"] * 2

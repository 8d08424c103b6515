"""Traces of the whole line: what comes in a header, what the collector gets, and what goes out in one."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from tests.integration.line import Line, event, wait_until
from tests.integration.tracing import PARENT, SAMPLED, TRACE, UNSAMPLED, start, traceparent

if TYPE_CHECKING:
    from tests.integration.collector import Collector, Span

pytestmark = pytest.mark.broker


def _only(collector: Collector) -> tuple[Span, dict[str, Span]]:
    """Return the one event and its children, once it has come."""
    wait_until("an event's span comes", lambda: bool(collector.events()))
    (found,) = collector.events()
    return found, {name: only for name, (only,) in collector.children(found).items()}


def test_an_event_has_a_span_within_its_senders_and_children_that_follow_each_other(
    line: Line, collector: Collector
) -> None:
    start(line, collector.url)
    before_ns = time.time_ns()
    ((partition, offset),) = line.publish(
        [event(1, candidates=4)], key=b"k", headers=[("x", b"1"), ("traceparent", SAMPLED), ("baggage", b"a=%20b")]
    )
    (result,) = line.read(line.results, 1)
    found, children = _only(collector)
    assert (found.name, found.kind) == (f"process {line.requests}", "consumer")
    assert (found.trace_id, found.parent_id, found.links) == (TRACE, PARENT, [PARENT])
    assert list(children) == ["queue", "tokenize", "schedule", "score", f"send {line.results}"]
    sending = children[f"send {line.results}"]
    assert sending.kind == "producer"
    assert [name for name, _ in result.headers] == ["x", "baggage", "traceparent"]
    assert dict(result.headers)["baggage"] == b"a=%20b"
    assert traceparent(result) == (TRACE, sending.span_id, True)
    assert before_ns <= found.start_ns
    assert found.end_ns <= time.time_ns()
    spans = list(children.values())
    for earlier, later in itertools.pairwise(spans):
        assert found.start_ns <= earlier.start_ns <= earlier.end_ns <= later.start_ns <= found.end_ns
    assert children["score"].took_s >= 0.002  # what the model takes for an event
    assert all(span.error is None for span in [found, *spans])
    assert found.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": line.requests,
        "messaging.destination.partition.id": str(partition),
        "messaging.kafka.offset": offset,
        "messaging.kafka.message.key": "k",
        "messaging.message.body.size": len(json.dumps(event(1, candidates=4))),
        "messaging.consumer.group.name": line.group,
        "messaging.client.id": "rerank-worker",
        "rerank.request_id": "r1",
        "rerank.candidates": 4,
        "rerank.outcome": "reranked",
        "rerank.reason": "complete",
        "rerank.deadline_met": found.attributes["rerank.deadline_met"],
    }
    assert children["score"].attributes == {"rerank.pairs": 4, "rerank.tokens": 4}
    assert sending.attributes["messaging.destination.name"] == line.results
    assert sending.attributes["messaging.operation.type"] == "send"
    assert found.resource["service.name"] == "rerank-worker"


def test_the_senders_choice_not_to_sample_is_kept_and_handed_on(line: Line, collector: Collector) -> None:
    start(line, collector.url)
    line.publish([event(1)], headers=[("traceparent", UNSAMPLED)])
    trace, span, sampled = traceparent(line.read(line.results, 1)[0])
    assert (trace, sampled) == (TRACE, False)
    assert span != PARENT
    line.publish([event(2)], headers=[("traceparent", SAMPLED)])
    assert _only(collector)[0].attributes["rerank.request_id"] == "r2"


def test_what_comes_without_a_context_begins_a_trace_as_the_sampler_has_it(line: Line, collector: Collector) -> None:
    worker = start(line, collector.url, environment={"OTEL_TRACES_SAMPLER": "parentbased_always_off"})
    line.publish([event(1)], headers=[("traceparent", b"\xff no context")])
    assert not traceparent(line.read(line.results, 1)[0])[2]
    assert worker.stop(grace_s=40) == 0
    assert collector.spans == []
    start(line, collector.url, environment={"OTEL_SERVICE_NAME": "ours"})
    line.publish([event(2)])
    trace, _, sampled = traceparent(line.read(line.results, 2)[1])
    found, _ = _only(collector)
    assert (found.trace_id, found.parent_id, found.links, sampled) == (trace, "", [], True)
    assert found.resource["service.name"] == "ours"


def test_a_dead_letter_is_an_error_of_its_event_and_of_the_stage_and_carries_the_trace_on(
    line: Line, collector: Collector
) -> None:
    start(line, collector.url)
    line.publish([b"{"], headers=[("traceparent", SAMPLED)])
    (letter,) = line.read(line.dead_letters, 1)
    found, children = _only(collector)
    sending = children[f"send {line.dead_letters}"]
    assert traceparent(letter) == (TRACE, sending.span_id, True)
    assert list(children) == ["queue", "tokenize", f"send {line.dead_letters}"]
    message = dict(letter.headers)["dlq.error-message"].decode()
    for failed in (found, children["tokenize"]):
        assert (failed.attributes["error.type"], failed.error) == ("not_json", message)
    assert sending.error is None
    assert "rerank.outcome" not in found.attributes


def test_a_result_that_is_too_large_shows_both_sendings(line: Line, collector: Collector) -> None:
    start(line, collector.url, max_record_bytes=3000)
    line.publish([event(1, metadata="x" * 5000)], headers=[("traceparent", SAMPLED)])
    (letter,) = line.read(line.dead_letters, 1)
    wait_until("an event's span comes", lambda: bool(collector.events()))
    (found,) = collector.events()
    children = collector.children(found)
    (refused,), (large, small) = children[f"send {line.results}"], children[f"send {line.dead_letters}"]
    assert [each.attributes["error.type"] for each in (refused, large)] == ["too_large", "too_large"]
    assert (small.error, found.attributes["error.type"]) == (None, "result_too_large")
    assert traceparent(letter)[1] == small.span_id


def test_a_degraded_event_says_so_and_has_no_score(line: Line, collector: Collector) -> None:
    start(line, collector.url, on_overload="partial")
    line.publish(
        [event(1, budget_ms=1)], headers=[("traceparent", SAMPLED)], timestamp_ms=int(time.time() * 1000) - 60_000
    )
    found, children = _only(collector)
    assert list(children) == ["queue", "tokenize", f"send {line.results}"]
    said = {name: found.attributes[f"rerank.{name}"] for name in ("outcome", "reason", "deadline_met")}
    assert said == {"outcome": "passthrough", "reason": "no_time", "deadline_met": False}
    assert found.error is None

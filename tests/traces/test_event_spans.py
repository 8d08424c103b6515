"""What the spans of an event say, by the SDK's own exporter in memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes

from tests.support import making
from worker.flow.job import Fault, Job
from worker.offsets.tracker import OffsetTracker
from worker.records import Outgoing
from worker.traces.traces import Traces

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

RESULT = Outgoing("results", b"k", b"{}", [("x", None)])


def _job(key: bytes | None = b"k") -> Job:
    job = making.job(3, 2, key=key)
    job.received_s = now_s = time.monotonic() - 10
    job.timeline.spent_s["waiting"] = 1.0
    job.timeline.tokenized_s, job.timeline.dispatched_s, job.timeline.scored_s = now_s + 2, now_s + 4, now_s + 8
    job.outcome = ("reranked", "complete")
    return job


def _spans(job: Job, *, error: Exception | None = None) -> dict[str, ReadableSpan]:
    """Return the spans of an event whose result is acknowledged, or ends with an error."""
    exporter = InMemorySpanExporter()
    traces = Traces(exporter, "group")
    traces.begin(job, RESULT)
    assert job.trace is not None
    job.trace.end(job, time.monotonic(), error)
    traces.close(time.monotonic() + 30)
    return {span.name: span for span in exporter.get_finished_spans()}


def _took_s(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def _attribute(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


def test_the_spans_are_as_long_as_the_event_was_in_each_stage() -> None:
    spans = _spans(_job())
    found = {name: round(_took_s(span), 3) for name, span in spans.items()}
    assert {name: found[name] for name in ("queue", "tokenize", "schedule", "score")} == {
        "queue": 1.0,
        "tokenize": 1.0,
        "schedule": 2.0,
        "score": 4.0,
    }
    assert 10 <= found["process requests"] < 40
    assert found["send results"] < 30


def test_attributes_have_the_names_of_the_conventions_or_are_ours() -> None:
    job = _job()
    job.fault = Fault("model", "score", "MemoryError", "out of memory")
    kinds = (messaging_attributes, error_attributes)
    known = {value for kind in kinds for value in vars(kind).values() if isinstance(value, str)}
    for span in _spans(job).values():
        for name in span.attributes or {}:
            assert name in known or name.startswith("rerank."), f"{span.name}: {name}"
    operations = {each.value for each in messaging_attributes.MessagingOperationTypeValues}
    assert {"process", "send"} <= operations


def test_a_fault_of_the_model_is_one_of_its_score_and_of_the_event() -> None:
    job = _job()
    job.fault = Fault("model", "score", "MemoryError", "out of memory")
    failed = {name for name, span in _spans(job).items() if _attribute(span, "error.type") == "model"}
    assert failed == {"process requests", "score"}


def test_a_result_that_cannot_be_published_is_an_error_of_its_sending_and_of_the_event() -> None:
    spans = _spans(_job(), error=TimeoutError("no answer"))
    failed = {name: span.status.description for name, span in spans.items() if _attribute(span, "error.type")}
    assert failed == {"process requests": "no answer", "send results": "no answer"}


def test_an_event_that_was_given_up_in_the_queue_waited_for_its_batch_and_was_not_scored() -> None:
    job = _job()
    job.timeline.dispatched_s = 0.0
    spans = _spans(job)
    assert round(_took_s(spans["schedule"]), 3) == 6.0
    assert "score" not in spans


@pytest.mark.parametrize(("key", "said"), [(b"k\xc3\xa9", "ké"), (b"\xff", None), (None, None)])
def test_a_key_is_said_where_it_is_a_text(key: bytes | None, said: str | None) -> None:
    assert _attribute(_spans(_job(key))["process requests"], "messaging.kafka.message.key") == said


def test_headers_that_are_no_context_stay_as_they_are() -> None:
    traces = Traces(InMemorySpanExporter(), "group")
    outgoing = traces.begin(_job(), RESULT)
    assert [name for name, _ in outgoing.headers] == ["x", "traceparent"]
    traces.close(time.monotonic() + 30)


def test_a_tombstone_is_said_to_be_one() -> None:
    tracker = OffsetTracker()
    tracker.assign([making.PARTITION])
    tracked = tracker.track(making.PARTITION, 0)
    assert tracked is not None
    job = Job(making.record(value=None), tracked, received_s=0.0, created_s=0.0)
    job.fault = Fault("tombstone", "decode", "InvalidEvent", "no value")
    event = _spans(job)["process requests"]
    assert _attribute(event, "messaging.kafka.message.tombstone") is True
    assert _attribute(event, "messaging.message.body.size") is None

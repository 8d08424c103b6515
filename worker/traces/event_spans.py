"""The spans of one event, by OpenTelemetry's semantic conventions for messaging and for Kafka."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import Attributes

    from worker.flow.job import Fault, Job
    from worker.records import Outgoing

# The stages whose faults show in a span of their own; those of others show in the event's.
_TOKENIZE, _SCORE = ("decode", "tokenize"), ("score",)


def begin_event(tracer: Tracer, job: Job, parent: Context, group_id: str, ahead_s: float) -> Span:
    """Begin the span of an event, at its receipt; it does not record where the sampler leaves it out."""
    record = job.record
    attributes = {
        **_messaging("process", record.partition.topic, record.key, record.value),
        "messaging.destination.partition.id": str(record.partition.number),
        "messaging.kafka.offset": record.offset,
        "messaging.consumer.group.name": group_id,
    }
    if record.value is None and record.corrupt is None and record.refused is None:
        attributes["messaging.kafka.message.tombstone"] = True
    creation = trace.get_current_span(parent).get_span_context()
    return tracer.start_span(
        f"process {record.partition.topic}",
        context=parent,
        kind=SpanKind.CONSUMER,
        links=[Link(creation)] if creation.is_valid else [],
        attributes=attributes,
        start_time=_ns(job.received_s, ahead_s),
    )


class EventSpans:
    """The spans of an event that is sampled.

    Those of its past are made from the times that it carries, when its outcome is sent; that of the sending and the
    event's own end when the outcome has arrived. `ahead_s` is how far the wall clock is ahead of the monotonic one: one
    number for all of them, so that a clock that is set moves them alike.
    """

    def __init__(self, tracer: Tracer, event: Span, ahead_s: float) -> None:
        self._tracer = tracer
        self._event = event
        self._within = trace.set_span_in_context(event, Context())
        self._ahead_s = ahead_s
        self._sending: Span | None = None

    def look_back(self, job: Job) -> None:
        """Make the spans of what the event has been through."""
        timeline = job.timeline
        taken_s = job.received_s + timeline.spent_s.get("waiting", 0.0)
        self._past("queue", job.received_s, taken_s)
        if job.request is not None:
            self._event.set_attribute("rerank.request_id", job.request.request_id)
            self._event.set_attribute("rerank.candidates", len(job.request.candidate_ids))
        self._past("tokenize", taken_s, timeline.tokenized_s, fault=_of_stages(job.fault, _TOKENIZE))
        if timeline.dispatched_s:
            self._past("schedule", timeline.tokenized_s, timeline.dispatched_s)
            self._past("score", timeline.dispatched_s, timeline.scored_s, _scored(job), _of_stages(job.fault, _SCORE))
        elif timeline.scored_s:  # it was given up while it waited for its batch
            self._past("schedule", timeline.tokenized_s, timeline.scored_s)

    def send(self, outgoing: Outgoing) -> Span:
        """Begin the span of the sending, which is the one that a reader of the outcome goes on from."""
        self._sending = self._tracer.start_span(
            f"send {outgoing.topic}",
            context=self._within,
            kind=SpanKind.PRODUCER,
            attributes=_messaging("send", outgoing.topic, outgoing.key, outgoing.value),
            start_time=_ns(time.monotonic(), self._ahead_s),
        )
        return self._sending

    def refuse(self) -> None:
        """End the sending of a record that was too large; another one follows."""
        if self._sending is not None:
            _fail(self._sending, "too_large", "the record is too large for its topic")
            self._sending.end(_ns(time.monotonic(), self._ahead_s))

    def end(self, job: Job, at_s: float, error: Exception | None) -> None:
        """End the event with its outcome's arrival at `at_s`, or with why it did not arrive."""
        if error is not None or job.dropped:
            kind = "dropped" if error is None else type(error).__name__
            why = "its transaction was given up; the record is read again" if error is None else str(error)
            for span in filter(None, (self._sending, self._event)):
                _fail(span, kind, why)
        elif job.fault is not None:
            _fail(self._event, job.fault.reason, job.fault.message)
        elif job.outcome is not None:
            outcome, reason = job.outcome
            met = at_s <= job.deadline_s
            self._event.set_attributes({"rerank.outcome": outcome, "rerank.reason": reason, "rerank.deadline_met": met})
        for span in filter(None, (self._sending, self._event)):
            span.end(_ns(at_s, self._ahead_s))

    def _past(
        self, name: str, start_s: float, end_s: float, attributes: Attributes = None, fault: Fault | None = None
    ) -> None:
        start_time = _ns(start_s, self._ahead_s)
        span = self._tracer.start_span(name, context=self._within, attributes=attributes, start_time=start_time)
        if fault is not None:
            _fail(span, fault.reason, fault.message)
        span.end(_ns(max(start_s, end_s), self._ahead_s))


def _messaging(operation: str, topic: str, key: bytes | None, value: bytes | None) -> dict[str, str | int | bool]:
    """Return what the spans of both operations, process and send, say of a record."""
    attributes: dict[str, str | int | bool] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.client.id": "rerank-worker",
    }
    if value is not None:
        attributes["messaging.message.body.size"] = len(value)
    if key is not None and (text := key.decode("utf-8", "ignore")).encode() == key:
        attributes["messaging.kafka.message.key"] = text
    return attributes


def _scored(job: Job) -> dict[str, int]:
    pairs, limit = job.scoring.pairs, job.scoring.limit
    return {} if pairs is None else {"rerank.pairs": limit, "rerank.tokens": int(pairs.offsets[limit])}


def _of_stages(fault: Fault | None, stages: tuple[str, ...]) -> Fault | None:
    return fault if fault is not None and fault.stage in stages else None


def _fail(span: Span, kind: str, why: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, why))


def _ns(at_s: float, ahead_s: float) -> int:
    """Return a time of the monotonic clock as OpenTelemetry has it: nanoseconds since 1970."""
    return int((at_s + ahead_s) * 1e9)

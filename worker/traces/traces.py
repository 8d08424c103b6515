"""Begins the spans of events when their outcomes are sent, and hands what is sampled to the exporter."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from worker import __version__
from worker.traces.event_spans import EventSpans, begin_event
from worker.traces.headers import context_in, with_context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from worker.flow.job import Job
    from worker.records import Outgoing


class Traces:
    """The spans of this process: a queue of them, and a thread that exports it, both of the SDK and bounded.

    The sampler, the queue and the resource are those of the OTEL_… variables. Raises ValueError where they are wrong.
    """

    def __init__(self, exporter: SpanExporter, group_id: str) -> None:
        self._processor = BatchSpanProcessor(exporter)
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)  # `close` has a limit
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("rerank-worker", __version__)
        self._group_id = group_id

    def begin(self, job: Job, outgoing: Outgoing) -> Outgoing:
        """Return an event's outcome with the context of its spans; those of its past are made. For the publisher.

        A second outcome comes after the first was refused.
        """
        if job.trace is not None:
            job.trace.refuse()
        else:
            ahead_s = time.time() - time.monotonic()
            event = begin_event(self._tracer, job, context_in(job.record.headers), self._group_id, ahead_s)
            if not event.is_recording():
                return outgoing._replace(headers=with_context(outgoing.headers, event))
            job.trace = EventSpans(self._tracer, event, ahead_s)
            job.trace.look_back(job)
        return outgoing._replace(headers=with_context(outgoing.headers, job.trace.send(outgoing)))

    def close(self, give_up_s: float) -> None:
        """Send what is left until `give_up_s`; what was not sent by then is lost."""
        # The SDK's own limit leaves out the request under way. The thread ends with the process.
        thread = threading.Thread(target=self._processor.shutdown, name="traces", daemon=True)
        thread.start()
        thread.join(max(0.0, give_up_s - time.monotonic()))


def _resource() -> Resource:
    ours = Resource({"service.name": "rerank-worker", "service.version": __version__})
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())  # the user's own names go before ours

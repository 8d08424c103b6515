"""Sends spans to a collector, and says once in a while that it cannot."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from worker.observe.logs import Sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)

_PAUSE_S = 60.0
_QUEUE = logging.getLogger("opentelemetry.sdk._shared_internal")  # says that the queue is full


def otlp_exporter() -> SpanExporter:
    """Return an exporter of OTLP over HTTP, as the OTEL_EXPORTER_OTLP_… variables have it. Raises ValueError."""
    exporter = OTLPSpanExporter()
    endpoint = exporter._endpoint  # noqa: SLF001 - what the variables have come to
    return SaidOnce(exporter, endpoint, logging.getLogger(OTLPSpanExporter.__module__))


class SaidOnce(SpanExporter):
    """Takes the word from an exporter that logs every try to `logger`: the first loss is a line, then one a minute.

    The spans of a failure are lost, and so are those that the queue has no room for.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str, logger: logging.Logger) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._lines = Sparse(1, _PAUSE_S)
        self._lost = 0
        self._why = ""
        self._full = False
        logger.addFilter(self._listen)
        _QUEUE.addFilter(self._note)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. On the thread of the processor alone."""
        self._why = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            self._why, result = repr(error), SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            self._say(self._why)
        elif self._full:
            self._say("the queue was full, see OTEL_BSP_MAX_QUEUE_SIZE")
        self._full = False
        return result

    def shutdown(self) -> None:
        """Stop trying."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return whether all was sent: nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)

    def _listen(self, record: logging.LogRecord) -> bool:
        self._why = self._why or record.getMessage()  # the first line of a try has the reason, the last does not
        return False

    def _note(self, record: logging.LogRecord) -> bool:
        full = record.getMessage().startswith("Queue full")  # on the thread that ends a span: said with the next export
        self._full = self._full or full
        return not full

    def _say(self, why: str) -> None:
        if self._lines.take(time.monotonic()) is not None:
            facts = {"endpoint": self._endpoint, "error": why}
            fields = {"spans": self._lost}
            log.warning("spans for %(endpoint)s are lost: %(error)s", facts, extra={"event": "spans_lost", **fields})
            self._lost = 0

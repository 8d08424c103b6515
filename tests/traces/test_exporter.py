"""An exporter that fails says so once in a while, with what failed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from worker.traces.exporter import SaidOnce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

LIBRARY = logging.getLogger("tests.traces.library")
QUEUE = logging.getLogger("opentelemetry.sdk._shared_internal")
SPAN: ReadableSpan = object()  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _filters_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for logger in (LIBRARY, QUEUE):
        monkeypatch.setattr(logger, "filters", [])


class Exporter(SpanExporter):
    """Takes what it is told to take; else it fails, and says so in its own words, or raises where it has two spans."""

    taking = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.taking:
            return SpanExportResult.SUCCESS
        if len(spans) > 1:
            raise RuntimeError("no exporter should")
        LIBRARY.warning("Transient error %s", "refused")
        LIBRARY.error("Failed to export")
        return SpanExportResult.FAILURE


def test_the_first_failure_is_a_line_with_its_first_reason_and_the_next_are_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = SaidOnce(Exporter(), "http://here", LIBRARY)
    assert [exporter.export([SPAN] * count) for count in (1, 1, 2)] == [SpanExportResult.FAILURE] * 3
    (line,) = caplog.records
    assert line.name == "worker.traces.exporter"
    assert line.getMessage() == "spans for http://here are lost: Transient error refused"
    assert line.__dict__["spans"] == 1


def test_an_exporter_that_raises_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    assert SaidOnce(Exporter(), "http://here", LIBRARY).export([SPAN] * 2) is SpanExportResult.FAILURE
    assert "no exporter should" in caplog.text


def test_a_queue_that_is_full_is_said_where_nothing_fails(caplog: pytest.LogCaptureFixture) -> None:
    inner = Exporter()
    inner.taking = True
    exporter = SaidOnce(inner, "http://here", LIBRARY)
    exporter.export([SPAN])
    assert caplog.records == []
    QUEUE.warning("Queue full, dropping %s.", "Span")
    exporter.export([SPAN])
    (line,) = caplog.records
    assert line.getMessage() == "spans for http://here are lost: the queue was full, see OTEL_BSP_MAX_QUEUE_SIZE"

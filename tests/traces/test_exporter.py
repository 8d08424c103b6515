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


class Failing(SpanExporter):
    """Fails, and says so in its own words; or raises, where it is given more than one span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if len(spans) > 1:
            raise RuntimeError("no exporter should")
        LIBRARY.warning("Transient error %s", "refused")
        LIBRARY.error("Failed to export")
        return SpanExportResult.FAILURE


def test_the_first_failure_is_a_line_with_its_first_reason_and_the_next_are_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = SaidOnce(Failing(), "http://here", LIBRARY)
    span: ReadableSpan = object()  # type: ignore[assignment]
    assert [exporter.export([span] * count) for count in (1, 1, 3)] == [SpanExportResult.FAILURE] * 3
    (line,) = caplog.records
    assert line.name == "worker.traces.exporter"
    assert line.getMessage() == "1 spans could not be sent to http://here, and more may follow: Transient error refused"


def test_an_exporter_that_raises_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    span: ReadableSpan = object()  # type: ignore[assignment]
    assert SaidOnce(Failing(), "http://here", LIBRARY).export([span] * 2) is SpanExportResult.FAILURE
    assert "no exporter should" in caplog.text

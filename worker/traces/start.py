"""Switches traces on: the only module outside of which nothing of OpenTelemetry is imported while they are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.traces.options import TraceOptions
    from worker.traces.traces import Traces

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


def start_traces(options: TraceOptions, environ: Mapping[str, str], group_id: str) -> Traces | None:
    """Return what makes spans, or None where that is off.

    Raises StopError where OpenTelemetry is not installed, or where its variables ask for what there is not.
    """
    if options.traces == "off":
        return None
    for name in _PROTOCOLS:
        if (protocol := environ.get(name, _SPOKEN)) != _SPOKEN:
            raise StopError(Exit.USAGE, f"{name}: expected {_SPOKEN}, got {protocol!r}")
    try:
        from worker.traces.exporter import otlp_exporter
        from worker.traces.traces import Traces
    except ImportError as error:
        raise StopError(
            Exit.USAGE, f"traces otlp needs the extra otel, pip install 'rerank-worker[otel]': {error}"
        ) from error
    try:
        return Traces(otlp_exporter(), group_id)
    except ValueError as error:
        raise StopError(Exit.USAGE, f"a variable OTEL_…: {error}") from error

"""Traces: the spans of an event, made from the times that it carries, and the traceparent that goes on."""

from worker.traces.options import TraceOptions
from worker.traces.start import start_traces

__all__ = ["TraceOptions", "start_traces"]

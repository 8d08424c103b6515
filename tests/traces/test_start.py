"""Switching traces on: what it needs, and what is said where that is missing."""

from __future__ import annotations

import sys
import threading

import pytest

from worker.exits import Exit, StopError
from worker.traces import TraceOptions, start_traces

OTLP = TraceOptions(traces="otlp")


def test_off_is_nothing() -> None:
    assert start_traces(TraceOptions(), {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "group") is None


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("worker.traces.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(StopError, match=r"needs the extra otel, pip install 'rerank-worker\[otel\]': ") as caught:
        start_traces(OTLP, {}, "group")
    assert caught.value.code is Exit.USAGE
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_a_protocol_that_is_not_spoken_is_refused_by_name(name: str) -> None:
    with pytest.raises(StopError, match=f"{name}: expected http/protobuf, got 'grpc'") as caught:
        start_traces(OTLP, {name: "grpc"}, "group")
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(("name", "value"), [("OTEL_BSP_MAX_QUEUE_SIZE", "1"), ("OTEL_BSP_SCHEDULE_DELAY", "0")])
def test_a_variable_that_the_library_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    monkeypatch.setenv(name, value)
    threads = threading.active_count()
    with pytest.raises(StopError, match=r"a variable OTEL_…: ") as caught:
        start_traces(OTLP, {}, "group")
    assert caught.value.code is Exit.USAGE
    assert threading.active_count() == threads

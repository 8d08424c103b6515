"""An OTLP collector in this process: a small HTTP server that keeps the spans it is sent."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it came over the wire; `error` is what its status says where it failed."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    error: str | None
    links: list[str]
    resource: dict[str, Any]

    @property
    def took_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


class Collector(ThreadingHTTPServer):
    """Takes spans; or, while it is `hanging`, takes requests and does not answer them before its end."""

    daemon_threads = True

    def __init__(self, *, hanging: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[Span] = []
        self.hanging = hanging
        self.asked = threading.Event()
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def events(self) -> list[Span]:
        """Return the spans of whole events."""
        return [span for span in self.spans if span.name.startswith("process ")]

    def children(self, event: Span) -> dict[str, list[Span]]:
        """Return the spans within an event by name, each name's in the order of their starts."""
        found = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: span.start_ns):
            if span.parent_id == event.span_id:
                found[span.name].append(span)
        return dict(found)


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.set()
        if self.server.hanging:
            self.server.ending.wait()
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _plain(resource.resource.attributes)
            self.server.spans.extend(_read(span, about) for scope in resource.scope_spans for span in scope.spans)
        with suppress(ConnectionError):
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _read(span: Any, resource: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        error=span.status.message if span.status.code == 2 else None,
        links=[link.span_id.hex() for link in span.links],
        resource=resource,
    )

"""What tests of traces begin with: the context of a sender, a worker that sends spans, and the context of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kafka.consumer.fetcher import ConsumerRecord

    from tests.integration.line import Line, Worker

LIGHT = "tests.integration.light_worker"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01".encode(), f"00-{TRACE}-{PARENT}-00".encode()


def start(line: Line, url: str, *, environment: dict[str, str] | None = None, **options: Any) -> Worker:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50", **(environment or {})}
    return line.start(**{"module": LIGHT, "traces": "otlp", "environment": variables, **options})


def traceparent(record: ConsumerRecord) -> tuple[str, str, bool]:
    """Return trace and span of the one traceparent that a record has, and whether it is sampled."""
    (text,) = [value for name, value in record.headers if name == "traceparent"]
    version, trace, span, flags = text.decode().split("-")
    assert version == "00"
    return trace, span, bool(int(flags, 16) & 1)  # another flag says that the id is random

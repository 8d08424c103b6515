"""Whether spans are made of events; where they go is for OpenTelemetry's own variables to say."""

from dataclasses import dataclass
from typing import Annotated, Literal

from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """Whether spans are made of events."""

    traces: Annotated[
        Literal["off", "otlp"],
        Doc(
            "off, or otlp: spans of events, sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names (extra otel)."
        ),
    ] = "off"

"""The context of a trace in the headers of a record, as W3C's Trace Context and OTEL_PROPAGATORS have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import Span

    from worker.records import Headers


class _Texts(Getter["Headers"]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """Return the texts of a header; what is no ASCII can be no part of a context."""
        return [text.decode("ascii", "replace") for name, text in carrier if name == key and text is not None] or None

    def keys(self, carrier: Headers) -> list[str]:
        """Return the names of the headers."""
        return [name for name, _ in carrier]


_TEXTS = _Texts()


def context_in(headers: Headers) -> Context:
    """Return the context that a record came with; one without a span where it has none, or one that cannot be read."""
    return propagate.extract(headers, Context(), _TEXTS)


def with_context(headers: Iterable[tuple[str, bytes | None]], span: Span) -> list[tuple[str, bytes | None]]:
    """Return the headers with a span's context in place of the one that came; all others stay, baggage too."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span, Context()))
    kept = [header for header in headers if header[0] not in carrier]
    return kept + [(name, text.encode("ascii")) for name, text in carrier.items()]

"""The headers of a dead letter, as texts: what both its writer and its reader know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from worker.events.schema import Contract, load_schema
from worker.exits import ENDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.records import Headers

SentHeaders = list[tuple[str, bytes | None]]

PREFIX = "dlq."
SCHEMA_VERSION = "1"
ORIGIN = ("topic", "partition", "offset", "timestamp")

_SCHEMA = load_schema("dead-letter.v1.json")
_OURS = frozenset(_SCHEMA["properties"])
CONTRACT = Contract(_SCHEMA)
# A replayed record brings these, and its client may have kept only some.
_EARLIER = Contract({"properties": _SCHEMA["properties"]})


def texts_of(headers: Headers) -> dict[str, str]:
    """Return those headers of a record that a dead letter has."""
    # Bytes that are not UTF-8 become a character that no pattern of the schema lets through.
    return {name: text.decode("utf-8", "replace") for name, text in headers if name in _OURS and text is not None}


def earlier_texts(headers: Headers) -> dict[str, str]:
    """Return what a record brings of an earlier dead letter; what no worker wrote counts for nothing."""
    texts = texts_of(headers)
    try:
        return texts if _EARLIER.is_valid(texts) else {}
    except ENDS:
        raise
    except BaseException:  # a panic of the validator: the dead letter is the way out, and must be written
        return {}


def others(headers: Headers) -> SentHeaders:
    """Return the headers that are no dead letter's."""
    return [(name, text) for name, text in headers if name not in _OURS]


def sent(texts: Mapping[str, str | None]) -> SentHeaders:
    """Return the headers that say these, without those that say nothing."""
    # backslashreplace: the message of an exception may hold what UTF-8 cannot.
    return [
        (PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in texts.items() if text is not None
    ]


def nulls(texts: Mapping[str, str]) -> SentHeaders:
    """Return the headers without a value that an earlier version could only name: it did not send them."""
    return [(unquote(name), None) for name in texts.get("dlq.null-headers", "").split(",") if name]


def time_text(when: datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Has kafka-python 3.0.12 send headers whose value is null, which it receives and refuses to send.

The format of records knows such headers, and so does the client's own builder of batches. What is before it wants bytes
for each value: so a mark goes through there, and becomes a null where the record is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.record.default_records import DefaultRecordBatchBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Null(bytes):
    """No value; an object of its own, since empty bytes are a value."""


_NULL = _Null()
_append = DefaultRecordBatchBuilder.append


def marked(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    """Return headers as the client takes them, with a mark for each null."""
    return [(name, _NULL if value is None else value) for name, value in headers]


def _append_nulls(self: Any, *record: Any) -> Any:
    *others, headers = record
    return _append(self, *others, [(name, _unmarked(value)) for name, value in headers])


def _unmarked(value: bytes | None) -> bytes | None:
    return None if value is _NULL else value


def let_nulls_through() -> None:
    """Change the client's class. May be called again."""
    DefaultRecordBatchBuilder.append = _append_nulls

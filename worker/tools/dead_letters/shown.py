"""One dead letter as a whole: its headers, its error, and the original value as JSON, as text, or in hexadecimal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from worker import dead_letters
from worker.terminal.printable import printable
from worker.tools.dead_letters.rows import as_json, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.records import Record

_WIDTH = 16  # bytes of a line in hexadecimal


def whole(record: Record) -> str:
    """Return a record of the dead-letter topic for a person to read, also where it is no dead letter."""
    return "\n".join(printable(line, keep="\n\t") for line in _lines(record))


def whole_json(record: Record) -> dict[str, Any]:
    """Return the same as one JSON object; what is not text is in hexadecimal."""
    try:
        letter = as_json(record, dead_letters.read(record))
    except dead_letters.NotADeadLetterError as error:
        letter = {"error": str(error)}
    value = record.value
    return {
        **letter,
        "headers": [{"name": name, **_text_or_hex(text)} for name, text in record.headers],
        "value": None if value is None else _parsed(value),
    }


def _lines(record: Record) -> Iterator[str]:
    place = f"{record.partition.topic} partition {record.partition.number} offset {record.offset}"
    yield f"{place}, written {written(record)}"
    try:
        letter = dead_letters.read(record)
    except dead_letters.NotADeadLetterError as error:
        yield f"not a dead letter: {error}"
    else:
        yield f"{letter.reason} in {letter.stage}: {letter.error}: {letter.message}"
        if letter.value_dropped:
            yield f"the value was too large to be kept: {letter.value_dropped}"
    yield ""
    yield f"key      {'none' if record.key is None else _text(record.key)}"
    for name, text in record.headers:
        yield f"header   {name}: {'null' if text is None else _text(text)}".replace("\n", "\\n")
    yield ""
    yield _value(record.value)


def _value(value: bytes | None) -> str:
    if value is None:
        return "no value"
    if not value:
        return "an empty value"
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, TypeError):  # TypeError: nested deeper than orjson writes
        pass
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "\n".join(_hexadecimal(value))


def _hexadecimal(value: bytes) -> Iterator[str]:
    for at in range(0, len(value), _WIDTH):
        part = value[at : at + _WIDTH]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)  # noqa: PLR2004 - printable ASCII
        yield f"{at:08x}  {part.hex(' '):<{3 * _WIDTH - 1}}  {text}"


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"


def _text_or_hex(raw: bytes | None) -> dict[str, str | None]:
    try:
        return {"text": None if raw is None else raw.decode()}
    except UnicodeDecodeError:
        return {"hex": raw.hex() if raw else ""}


def _parsed(value: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(value)
        orjson.dumps({"value": {"json": parsed}})
    except (orjson.JSONDecodeError, TypeError):
        return dict(_text_or_hex(value))
    return {"json": parsed}

"""Lets a stream write what its encoding does not have: with signs that stand in for it, as wide as it."""

from __future__ import annotations

import codecs
import io
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_HANDLER = "worker.terminal.encoding"
_SIGNS = dict(
    zip("…·•✓✗↑↓→←\u2013\u2014\u2018\u2019\u201c\u201d", ".-*+x^v><--''\"\"", strict=True)  # dashes and quotes last
)
_FAILING = {"strict", "surrogateescape"}  # what streams raise UnicodeEncodeError with


def let_stand_in(stream: TextIO) -> None:
    """Let a stream write everything from now on, whatever its encoding: nothing raises UnicodeEncodeError."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in _FAILING:
        stream.reconfigure(errors=_HANDLER)


def _stand_in(letter: str) -> str:
    if unicodedata.combining(letter):
        return ""
    return _SIGNS.get(letter) or ("??" if unicodedata.east_asian_width(letter) in {"W", "F"} else "?")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_stand_in, error.object[error.start : error.end])), error.end


codecs.register_error(_HANDLER, _replace)

"""Why a record is refused before anything of it is decoded, in words."""

from __future__ import annotations

from typing import NamedTuple, Self

from worker.records import Dropped, Refused
from worker.terminal.printable import shortened

# Each header is an object of 150 bytes, and can have two in a record.
MOST_HEADERS = 1000
USUAL_VALUE_BYTES = 4 * 1024 * 1024  # what an event may have by default
_KEY_AND_HEADERS_BYTES = 1024 * 1024  # beside the largest value
_SHOWN = 60  # characters of a header's name in an error


class Bounds(NamedTuple):
    """What a record may have: bytes where it came packed, key and headers included, and headers."""

    record_bytes: int
    headers: int = MOST_HEADERS

    @classmethod
    def of_value(cls, value_bytes: int, headers: int = MOST_HEADERS) -> Self:
        """Return the bounds of a record with a value of so many bytes, and a MiB for key and headers."""
        return cls(value_bytes + _KEY_AND_HEADERS_BYTES, headers)


class RefusedValue(NamedTuple):
    """What stands for the value of a record that is refused: why, and the value if that was kept."""

    refused: Refused
    value: bytes | None


def described(size_bytes: int, codec: str) -> str:
    """Describe what was dropped, as the headers of a dead letter do."""
    return f"bytes={size_bytes} codec={codec}"


def too_many_headers(count: int, offset: int, dropped: Dropped, most: int) -> Refused:
    """Say that a record has more headers than `most`."""
    return Refused("too_large", f"expected at most {most} headers, got {count}", "headers", offset, dropped)


def misnamed_header(name: str, offset: int) -> Refused:
    """Say that a header's name is not UTF-8; `name` has its bytes as text where they are."""
    return Refused("not_utf8", f"expected names in UTF-8, got {shortened(name, _SHOWN)}", "headers", offset)

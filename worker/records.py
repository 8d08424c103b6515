"""Records: what Kafka gives the worker and takes from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = tuple[tuple[str, bytes | None], ...]


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Corrupt(NamedTuple):
    """Why the records from an offset on cannot be read, and which offset can be read next; None: that is not known."""

    next_offset: int | None
    why: str


class Dropped(NamedTuple):
    """What was not kept of a record, since it would take too much memory, in words for the headers of a dead letter."""

    value: str
    key: str | None = None
    headers: int | None = None  # how many there were


class Refused(NamedTuple):
    """Why a record is no event, as its reading has shown before anything was decoded.

    `reason` is one of the reasons of a dead letter, `path` where the fault is. `last_offset` is that of the last of the
    records that it stands for: more than one where those behind it could not be unpacked.
    """

    reason: str
    message: str
    path: str | None
    last_offset: int
    dropped: Dropped | None = None


@dataclass(frozen=True, slots=True)
class Record:
    r"""One record as Kafka delivered it: bytes, nothing decoded. Or, if `corrupt`, the place of some that are lost.

    Bytes of a header's name that are not UTF-8 are written as `\xff`; the record is `refused` then.
    """

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    corrupt: Corrupt | None = None
    refused: Refused | None = None

    @property
    def next_offset(self) -> int:
        """Where its partition goes on behind it; its own offset where that is not known."""
        if self.refused is not None:
            return self.refused.last_offset + 1
        return self.offset + 1 if self.corrupt is None else self.corrupt.next_offset or self.offset


class Outgoing(NamedTuple):
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]

"""Reads a file of events, one JSON document a line, and checks each of them before any is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from worker.events.codec import Decoder, InvalidEvent
from worker.exits import Exit, StopError
from worker.records import Partition, Record
from worker.terminal.printable import printable

if TYPE_CHECKING:
    from worker.events.codec import EventOptions
    from worker.flow.job import Request

_MOST_NAMED = 20  # bad lines in the error


class Event(NamedTuple):
    """A valid event: the number of its line, its bytes as they stand there, and what they say."""

    line: int
    value: bytes
    request: Request


def read_events(file: str, options: EventOptions) -> list[Event]:
    """Return the events of a file, or of standard input if `file` is `-`; blank lines are skipped.

    Raises StopError(Exit.USAGE) that names every bad line (up to twenty), or says that there is no event at all.
    """
    decoder = Decoder(options)
    name = "standard input" if file == "-" else file
    events: list[Event] = []
    faults: list[str] = []
    # Split at line feeds alone: what else counts as the end of a line may stand inside a JSON string.
    for number, line in enumerate(_read(file).split(b"\n"), start=1):
        value = line.strip()
        if not value:
            continue
        try:
            request = decoder.decode(Record(Partition(name, 0), number, timestamp_ms=0, key=None, value=value))
        except InvalidEvent as error:
            faults.append(f"line {number}: {printable(str(error))}")
        else:
            events.append(Event(number, value, request))
    if faults:
        raise StopError(Exit.USAGE, _listed(faults, name, len(faults) + len(events)))
    if not events:
        raise StopError(Exit.USAGE, f"{name}: expected one event a line, got no event; nothing was published")
    return events


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise StopError(Exit.USAGE, f"cannot read {file}: {error.strerror}; nothing was published") from error


def _listed(faults: list[str], name: str, total: int) -> str:
    shown = faults[:_MOST_NAMED]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown)} more")
    head = f"{name}: {len(faults)} of {total} events cannot be reranked, so nothing was published"
    return "\n  ".join([head, *shown])

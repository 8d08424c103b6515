"""Shows dead letters: as rows of a table, as JSON, and counted by reason."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from rich.table import Table

from worker import dead_letters
from worker.tools.screen import complain, plain
from worker.tools.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.dead_letters import DeadLetter
    from worker.jobs import Record


class Row(NamedTuple):
    """A dead letter in a table. What can be megabytes of the original is not in it."""

    written: str
    letter: str  # where it is in the dead-letter topic, as --show takes it
    reason: str
    original: str
    tries: str
    request_id: str
    message: str
    fate: str  # what a replay does with it; nothing in a list


class Rows:
    """The newest of the rows: a table is read by a person, and has to know all of them to be laid out."""

    def __init__(self, limit: int) -> None:
        self._rows: deque[Row] = deque(maxlen=limit)
        self._total = 0

    def add(self, record: Record, letter: DeadLetter, fate: str = "") -> None:
        """Add a dead letter; beyond the limit the oldest goes."""
        self._total += 1
        self._rows.append(
            Row(
                written=written(record).replace("T", " ").removesuffix("Z"),
                letter=f"{record.partition.number}:{record.offset}",
                reason=letter.reason,
                original=f"{letter.partition.topic} {letter.partition.number}:{_offsets(letter)}",
                tries=f"{letter.attempts}/{letter.replays}",
                request_id=request_id(letter) or "",
                message=letter.message,
                fate=fate,
            )
        )

    def table(self) -> Table:
        """Return the rows by time."""
        table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
        table.add_column("written (UTC)", no_wrap=True)
        table.add_column("letter", no_wrap=True, justify="right")
        table.add_column("reason", no_wrap=True, style="bold")
        table.add_column("original", overflow="fold")
        table.add_column("failed/replayed", justify="right")
        table.add_column("request id", overflow="ellipsis", no_wrap=True, max_width=24)
        table.add_column("error", overflow="fold", ratio=1)
        fated = any(row.fate for row in self._rows)
        if fated:
            table.add_column("replay", overflow="fold")
        for row in sorted(self._rows):
            table.add_row(*(plain(cell) for cell in (row if fated else row[:-1])))
        return table

    def left_out(self) -> str | None:
        """Return a line about the rows that the table does not have; None where it has all."""
        left = self._total - len(self._rows)
        return f"{left} older ones are not shown; --rows shows more" if left else None


def counted(counts: Mapping[tuple[str, ...], int], *headings: str) -> Table:
    """Return how many there are of each kind, the most first."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    table.add_column("dead letters", justify="right")
    for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(*map(plain, kind), str(count))
    return table


def as_json(record: Record, letter: DeadLetter) -> dict[str, Any]:
    """Return what a dead letter says, without the original's value and headers."""
    first = letter.first
    return {
        "written": written(record),
        "letter": {"partition": record.partition.number, "offset": record.offset},
        "reason": letter.reason,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "path": letter.path,
        "original": _place(letter.partition.topic, letter.partition.number, letter.offset, letter.timestamp_ms)
        | ({} if letter.last_offset is None else {"last_offset": letter.last_offset}),
        "first": _place(first.partition.topic, first.partition.number, first.offset, first.timestamp_ms),
        "first_failure": _text(letter.first_failure),
        "attempts": letter.attempts,
        "replays": letter.replays,
        "request_id": request_id(letter),
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "value_bytes": None if letter.value is None else len(letter.value),
        "value_dropped": letter.value_dropped,
        "consumer_group": letter.group_id,
        "worker_version": letter.worker_version,
        "model": letter.model,
    }


def request_id(letter: DeadLetter) -> str | None:
    """Return the event's request_id, where its value is JSON that has one."""
    try:
        event = orjson.loads(letter.value or b"")
    except orjson.JSONDecodeError:
        return None
    name = event.get("request_id") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None


def written(record: Record) -> str:
    """Return when a record was written, as ISO 8601 in UTC; - where that is not known."""
    if record.timestamp_ms < 0:
        return "-"
    try:
        time = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    except (OverflowError, ValueError):  # a producer may write any number
        return "-"
    return _text(time)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _offsets(letter: DeadLetter) -> str:
    return (
        str(letter.offset) if letter.last_offset in (None, letter.offset) else f"{letter.offset}-{letter.last_offset}"
    )


def _place(topic: str, partition: int, offset: int, timestamp_ms: int) -> dict[str, Any]:
    return {"topic": topic, "partition": partition, "offset": offset, "timestamp_ms": timestamp_ms}


def read_or_say(record: Record) -> DeadLetter | None:
    """Return what a record says, or None where it is no dead letter or cannot be read: standard error says so."""
    if (lost := unreadable(record)) is not None:
        complain(f"skipped: {lost}")
        return None
    try:
        return dead_letters.read(record)
    except dead_letters.NotADeadLetterError as error:
        complain(f"skipped: {error}")
        return None

"""Reads a dead letter: what became of an event, and what it is sent back with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from worker.dead_letters.corrupt_records import REASON as CORRUPT
from worker.dead_letters.headers import CONTRACT, ORIGIN, nulls, others, sent, texts_of, time_text
from worker.records import Partition

if TYPE_CHECKING:
    from worker.dead_letters.headers import SentHeaders
    from worker.records import Record

_VALUELESS = {"tombstone", CORRUPT}


class Origin(NamedTuple):
    """Which record an event was read from."""

    partition: Partition
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What a record on the dead-letter topic says: the original record, and what became of it.

    `headers` are the original's. `value_dropped` describes a value that was too large to keep; `value` is None then.
    `first` is where an event that was replayed failed first. `last_offset` is that of the last record, where it stands
    for several that could not be read.
    """

    partition: Partition
    offset: int
    last_offset: int | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: SentHeaders
    value_dropped: str | None
    group_id: str
    stage: str
    reason: str
    error: str
    message: str
    path: str | None
    attempts: int
    replays: int
    first_failure: datetime
    first: Origin
    worker_version: str
    model: str | None


class NotADeadLetterError(ValueError):
    """A record that lacks the headers of a dead letter, or has them in another form."""


def replayed_headers(letter: DeadLetter) -> SentHeaders:
    """Return the headers that an event is sent back with: its own, and those that its next dead letter counts on."""
    first = (*letter.first.partition, letter.first.offset, letter.first.timestamp_ms)
    carried = {
        "attempts": str(letter.attempts),
        "replays": str(letter.replays + 1),
        "first-failure-time": time_text(letter.first_failure),
        **{f"first-{part}": str(fact) for part, fact in zip(ORIGIN, first, strict=True)},
    }
    return letter.headers + sent(carried)


def read(record: Record) -> DeadLetter:
    """Read a record of the dead-letter topic, or raise NotADeadLetterError that names the header at fault."""
    texts = _checked(record)
    original = {part: texts[f"dlq.original-{part}"] for part in ORIGIN}
    origin = _origin(original)
    # The client cannot send a record without key and value: such a value came as empty bytes.
    valueless = "dlq.value-dropped" in texts or texts["dlq.reason"] in _VALUELESS
    last = texts.get("dlq.original-last-offset")
    return DeadLetter(
        partition=origin.partition,
        offset=origin.offset,
        last_offset=None if last is None else int(last),
        timestamp_ms=origin.timestamp_ms,
        key=None if "dlq.key-given" in texts else record.key,
        value=None if valueless else record.value,
        headers=others(record.headers) + nulls(texts),
        value_dropped=texts.get("dlq.value-dropped"),
        group_id=texts["dlq.consumer-group"],
        stage=texts["dlq.stage"],
        reason=texts["dlq.reason"],
        error=texts["dlq.error-class"],
        message=texts["dlq.error-message"],
        path=texts.get("dlq.path"),
        attempts=int(texts["dlq.attempts"]),
        replays=int(texts.get("dlq.replays", "0")),
        first_failure=datetime.fromisoformat(texts["dlq.first-failure-time"]),
        first=_origin({part: texts.get(f"dlq.first-{part}", original[part]) for part in ORIGIN}),
        worker_version=texts["dlq.worker-version"],
        model=texts.get("dlq.model"),
    )


def _checked(record: Record) -> dict[str, str]:
    texts = texts_of(record.headers)
    if not CONTRACT.is_valid(texts):
        (name, *_), message = CONTRACT.find(texts)
        raise NotADeadLetterError(
            f"{record.partition.topic}[{record.partition.number}] offset {record.offset} is not a dead letter: "
            f"header {name}: {message}"
        )
    return texts


def _origin(texts: dict[str, str]) -> Origin:
    partition = Partition(texts["topic"], int(texts["partition"]))
    return Origin(partition, int(texts["offset"]), int(texts["timestamp"]))

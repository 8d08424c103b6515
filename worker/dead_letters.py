"""Dead letters: an event that cannot be reranked, kept as it came, with where it came from and why in its headers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from worker.contract import Contract, load_schema
from worker.corrupt_records import REASON as CORRUPT
from worker.events import REASONS as EVENT_REASONS
from worker.jobs import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.jobs import Headers, Job, Keep, ModelName, Record

SentHeaders = list[tuple[str, bytes]]  # Kafka's client receives headers without a value, and refuses to send them

PREFIX = "dlq."
SCHEMA_VERSION = "1"

# The values of the label `reason` of rerank_dead_letters_total: a bad event, and what can go wrong with a good one.
REASONS = (*EVENT_REASONS, CORRUPT, "tokenizer", "model", "result_too_large", "defect")

_ORIGIN = ("topic", "partition", "offset", "timestamp")
_VALUELESS = {"tombstone", CORRUPT}
_MAX_MESSAGE = 1000  # characters; an exception may carry a whole tensor
_SCHEMA = load_schema("dead-letter.v1.json")
_CONTRACT = Contract(_SCHEMA)
# A replayed record brings these, and its client may have kept only some.
_EARLIER = Contract({"properties": _SCHEMA["properties"]})
_OURS = frozenset(_SCHEMA["properties"])


class Letter(NamedTuple):
    """A record for the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: SentHeaders


class Origin(NamedTuple):
    """Which record an event was read from."""

    partition: Partition
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What a record on the dead-letter topic says: the original record, and what became of it.

    `headers` are the original's without those of `null_headers`, whose values were null. `value_dropped` describes a
    value that was too large to keep; `value` is None then. `first` is where an event that was replayed failed first.
    `last_offset` is that of the last record, where it stands for several that could not be read.
    """

    partition: Partition
    offset: int
    last_offset: int | None
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: SentHeaders
    null_headers: list[str]
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


def dead_letter(  # noqa: PLR0913  # all but the job are named, and each is a fact of its own
    job: Job, *, group_id: str, worker_version: str, model: ModelName | None, now_s: float, keep: Keep = "all"
) -> Letter:
    """Build the dead letter of a job with a fault; `now_s` is seconds since 1970, UTC.

    Key, value and headers are the original's, except for the headers of an earlier dead letter: those are replaced, the
    first failure's time and place are kept and the attempts are counted on. `keep` is for a topic that refuses a record
    as large: headers say what was left out, and how large it was.
    """
    record, fault = job.record, job.fault
    assert fault is not None, "only a job with a fault becomes a dead letter"
    kept: SentHeaders = [(name, text) for name, text in record.headers if text is not None and name not in _OURS]
    bare = keep == "nothing"
    earlier = _earlier(record.headers)
    nulls = [*_names(earlier.get("dlq.null-headers", "")), *(name for name, text in record.headers if text is None)]
    texts = {
        "original-topic": record.partition.topic,
        "original-partition": str(record.partition.number),
        "original-offset": str(record.offset),
        "original-last-offset": str(record.next_offset - 1) if record.corrupt else None,
        "original-timestamp": str(record.timestamp_ms),
        "consumer-group": group_id,
        "stage": fault.stage,
        "reason": fault.reason,
        "error-class": fault.error,
        "error-message": fault.message[:_MAX_MESSAGE],
        "path": fault.path,
        "attempts": str(int(earlier.get("dlq.attempts", "0")) + 1),
        "replays": earlier.get("dlq.replays"),
        "first-failure-time": earlier.get("dlq.first-failure-time", _time_text(datetime.fromtimestamp(now_s, UTC))),
        **{f"first-{part}": earlier.get(f"dlq.first-{part}", earlier.get(f"dlq.original-{part}")) for part in _ORIGIN},
        "worker-version": worker_version,
        "model": f"{model.id}@{model.revision}" if model else None,
        "schema-version": SCHEMA_VERSION,
        "null-headers": None if bare else _listed(nulls),
        "value-dropped": None if keep == "all" else _digest(record.value),
        "key-dropped": _digest(record.key) if bare else None,
        "headers-dropped": str(len(record.headers)) if bare else None,
    }
    ours = _sent(texts)
    return Letter(None if bare else record.key, record.value if keep == "all" else None, ours if bare else kept + ours)


def replayed_headers(letter: DeadLetter) -> SentHeaders:
    """Return the headers that an event is sent back with: its own, and those that its next dead letter counts on."""
    first = (*letter.first.partition, letter.first.offset, letter.first.timestamp_ms)
    carried = {
        "attempts": str(letter.attempts),
        "replays": str(letter.replays + 1),
        "first-failure-time": _time_text(letter.first_failure),
        **{f"first-{part}": str(fact) for part, fact in zip(_ORIGIN, first, strict=True)},
        "null-headers": _listed(letter.null_headers),
    }
    return letter.headers + _sent(carried)


def read(record: Record) -> DeadLetter:
    """Read a record of the dead-letter topic, or raise NotADeadLetterError that names the header at fault."""
    texts = _texts(record.headers)
    if not _CONTRACT.is_valid(texts):
        (name, *_), message = _CONTRACT.find(texts)
        raise NotADeadLetterError(
            f"{record.partition.topic}[{record.partition.number}] offset {record.offset} is not a dead letter: "
            f"header {name}: {message}"
        )
    original = {part: texts[f"dlq.original-{part}"] for part in _ORIGIN}
    origin = _origin(original)
    # The client cannot send a record without key and value: such a value came as empty bytes.
    valueless = "dlq.value-dropped" in texts or texts["dlq.reason"] in _VALUELESS
    last = texts.get("dlq.original-last-offset")
    return DeadLetter(
        partition=origin.partition,
        offset=origin.offset,
        last_offset=None if last is None else int(last),
        timestamp_ms=origin.timestamp_ms,
        key=record.key,
        value=None if valueless else record.value,
        headers=[(name, text) for name, text in record.headers if text is not None and name not in _OURS],
        null_headers=_names(texts.get("dlq.null-headers", "")),
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
        first=_origin({part: texts.get(f"dlq.first-{part}", original[part]) for part in _ORIGIN}),
        worker_version=texts["dlq.worker-version"],
        model=texts.get("dlq.model"),
    )


def _texts(headers: Headers) -> dict[str, str]:
    # Bytes that are not UTF-8 become a character that no pattern of the schema lets through.
    return {name: text.decode("utf-8", "replace") for name, text in headers if name in _OURS and text is not None}


def _earlier(headers: Headers) -> dict[str, str]:
    texts = _texts(headers)
    return texts if _EARLIER.is_valid(texts) else {}  # what no worker wrote counts for nothing


def _digest(value: bytes | None) -> str | None:
    return None if value is None else f"bytes={len(value)} sha256={hashlib.sha256(value).hexdigest()}"


def _origin(texts: dict[str, str]) -> Origin:
    partition = Partition(texts["topic"], int(texts["partition"]))
    return Origin(partition, int(texts["offset"]), int(texts["timestamp"]))


def _sent(texts: dict[str, str | None]) -> SentHeaders:
    # backslashreplace: the message of an exception may hold what UTF-8 cannot.
    return [
        (PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in texts.items() if text is not None
    ]


def _listed(names: Iterable[str]) -> str | None:
    return ",".join(quote(name, safe="") for name in dict.fromkeys(names)) or None


def _names(text: str) -> list[str]:
    return [unquote(name) for name in text.split(",") if name]


def _time_text(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Writes a dead letter: an event as it came, with where it came from and why in its headers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from worker.corrupt_records import REASON as CORRUPT
from worker.dead_letters.headers import ORIGIN, SCHEMA_VERSION, earlier_texts, nulls, others, sent, time_text
from worker.events import REASONS as EVENT_REASONS

if TYPE_CHECKING:
    from worker.dead_letters.headers import SentHeaders
    from worker.jobs import Fault, Job, Keep, ModelName, Record

# The values of the label `reason` of rerank_dead_letters_total: a bad event, and what can go wrong with a good one.
REASONS = (*EVENT_REASONS, CORRUPT, "tokenizer", "model", "result_too_large", "no_key", "defect")

_MAX_MESSAGE = 1000  # characters; an exception may carry a whole tensor
_MAX_MESSAGE_ALONE = 200  # where hardly anything fits

_Texts = dict[str, str | None]


class Letter(NamedTuple):
    """A record for the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: SentHeaders


def dead_letter(  # noqa: PLR0913  # all but the job are named, and each is a fact of its own
    job: Job,
    *,
    group_id: str,
    worker_version: str,
    model: ModelName | None,
    now_s: float,
    keep: Keep = "all",
    given_key: bytes | None = None,
) -> Letter:
    """Build the dead letter of a job with a fault; `now_s` is seconds since 1970, UTC.

    Key, value and headers are the original's, except for the headers of an earlier dead letter: those are replaced, the
    first failure's time and place are kept and the attempts are counted on. `keep` is for a topic that refuses a record
    as large: headers say what was left out, and how large it was. `given_key` is for a compacted topic: a letter
    without a key has this one, and a header says so; one without a value has empty bytes, since a null there deletes.
    """
    record, fault = job.record, job.fault
    assert fault is not None, "only a job with a fault becomes a dead letter"
    earlier = earlier_texts(record.headers)
    texts = {
        **_place(record),
        "consumer-group": group_id,
        **_reason(fault),
        **_history(earlier, now_s),
        "worker-version": worker_version,
        "model": f"{model.id}@{model.revision}" if model else None,
        "schema-version": SCHEMA_VERSION,
        **_left_out(record, keep),
    }
    key, value, headers = record.key, record.value if keep == "all" else None, others(record.headers) + nulls(earlier)
    if keep == "nothing":
        key, headers = None, []
        texts["error-message"] = fault.message[:_MAX_MESSAGE_ALONE]
    if given_key is not None:
        texts["key-given"] = "true" if key is None else None
        key, value = given_key if key is None else key, value or b""
    return Letter(key, value, headers + sent(texts))


def _place(record: Record) -> _Texts:
    may_be_several = record.corrupt or (record.refused and record.refused.dropped)
    return {
        "original-topic": record.partition.topic,
        "original-partition": str(record.partition.number),
        "original-offset": str(record.offset),
        "original-last-offset": str(record.next_offset - 1) if may_be_several else None,
        "original-timestamp": str(record.timestamp_ms),
    }


def _reason(fault: Fault) -> _Texts:
    return {
        "stage": fault.stage,
        "reason": fault.reason,
        "error-class": fault.error,
        "error-message": fault.message[:_MAX_MESSAGE],
        "path": fault.path,
    }


def _history(earlier: dict[str, str], now_s: float) -> _Texts:
    """Count on from an earlier dead letter of the event, if there was one."""
    return {
        "attempts": str(int(earlier.get("dlq.attempts", "0")) + 1),
        "replays": earlier.get("dlq.replays"),
        "first-failure-time": earlier.get("dlq.first-failure-time", time_text(datetime.fromtimestamp(now_s, UTC))),
        **{f"first-{part}": earlier.get(f"dlq.first-{part}", earlier.get(f"dlq.original-{part}")) for part in ORIGIN},
    }


def _left_out(record: Record, keep: Keep) -> _Texts:
    """Say what the dead letter lacks of the record."""
    bare = keep == "nothing"
    value = None if keep == "all" else _digest(record.value)
    key, headers = (_digest(record.key), len(record.headers)) if bare else (None, None)
    if (dropped := record.refused and record.refused.dropped) is not None:
        value, key = dropped.value, key or dropped.key
        headers = headers or dropped.headers
    return {
        "value-dropped": value,
        "key-dropped": key,
        "headers-dropped": None if headers is None else str(headers),
    }


def _digest(value: bytes | None) -> str | None:
    return None if value is None else f"bytes={len(value)} sha256={hashlib.sha256(value).hexdigest()}"

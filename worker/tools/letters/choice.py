"""Which dead letters a command is about, and which of those are sent back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.corrupt_records import REASON as CORRUPT_REASON
from worker.dead_letters import REASONS, replayed_headers
from worker.exits import Exit, StopError
from worker.kafka_io.refusals import MOST_HEADERS

if TYPE_CHECKING:
    from worker.dead_letters import DeadLetter
    from worker.jobs import Record
    from worker.tools.letters.options import ChoiceOptions, ReplayOptions

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO = re.compile(rf"([0-9]{{1,9}})([{''.join(_SECONDS)}])")
_OFFSETS = re.compile(r"([0-9]{0,19})-([0-9]{0,19})")

VALUE_DROPPED = "the value was too large to be kept"
TOMBSTONE = "there never was a value"
CORRUPT = "its records could not be read"
MISNAMED = "a header's name is not UTF-8"
MANY_HEADERS = f"it has more headers than the {MOST_HEADERS} that a request may have"
OWN = "it was read from the dead-letter topic; --to sends it elsewhere"
REPLAYED = "replayed as often as --max-replays allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the options of a command say; times are milliseconds since 1970. `last` is included, `until_ms` is not."""

    reasons: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    first: int | None = None
    last: int | None = None
    partition: int | None = None

    def takes(self, record: Record, letter: DeadLetter) -> bool:
        """Whether this record of the dead-letter topic, which says `letter`, is chosen."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since_ms is None or record.timestamp_ms >= self.since_ms)
            and (self.until_ms is None or record.timestamp_ms < self.until_ms)
            and (self.first is None or record.offset >= self.first)
            and (self.last is None or record.offset <= self.last)
            and (self.partition is None or record.partition.number == self.partition)
        )


def choose(options: ChoiceOptions, now_s: float) -> Choice:
    """Return what the options mean at `now_s`, seconds since 1970. Raises StopError(Exit.USAGE)."""
    for reason in options.reason:
        if reason not in REASONS:
            raise _wrong("--reason", f"one of {', '.join(REASONS)}", reason)
    first, last = _offsets(options.offsets)
    return Choice(
        reasons=frozenset(options.reason),
        since_ms=_time_ms("--since", options.since, now_s),
        until_ms=_time_ms("--until", options.until, now_s),
        first=first,
        last=last,
        partition=options.partition,
    )


def why_not(record: Record, letter: DeadLetter, options: ReplayOptions) -> str | None:
    """Return why this letter, which `record` of the dead-letter topic says, is not sent back; None where it is."""
    # `record` may be of a worker that was given one topic for both: it would come back for ever.
    comes_back = letter.partition.topic == record.partition.topic and options.to is None
    reasons = (
        (VALUE_DROPPED, letter.value_dropped is not None),
        (CORRUPT, letter.reason == CORRUPT_REASON),
        (TOMBSTONE, letter.value is None),
        (MISNAMED, record.refused is not None),
        (MANY_HEADERS, len(replayed_headers(letter)) > MOST_HEADERS),
        (OWN, comes_back),
        (REPLAYED, letter.replays >= options.max_replays),
    )
    return next((reason for reason, holds in reasons if holds), None)


def _time_ms(option: str, text: str | None, now_s: float) -> int | None:
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return round((now_s - int(ago[1]) * _SECONDS[ago[2]]) * 1000)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(option, "an ISO 8601 time or how long ago (90s, 30m, 2h, 7d)", text) from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _offsets(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    bounds = _OFFSETS.fullmatch(text)
    if bounds is None or text == "-":
        raise _wrong("--offsets", "A-B, A- or -B", text)
    first, last = (int(bound) if bound else None for bound in bounds.groups())
    return first, last


def _wrong(option: str, expected: str, came: str) -> StopError:
    return StopError(Exit.USAGE, f"{option}: expected {expected}, got {came!r}")

"""Mutated events and dead letters for their readers: each must be valid or a clear error (`make fuzz`)."""

from __future__ import annotations

import argparse
import copy
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from worker.dead_letters import NotADeadLetterError, read, replayed_headers
from worker.events.codec import REASONS, Decoder, EventOptions, InvalidEvent
from worker.events.schema import load_schema
from worker.records import Headers, Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ERROR = 1000  # characters
_MOST_SHOWN = 10  # crashes
_PLACE = Partition("topic", 0)
# Limits that a mutation reaches.
_OPTIONS = EventOptions(max_event_bytes=4096, max_text_chars=200, max_candidates=20)

_REQUEST = load_schema("rerank-request.v1.json")["examples"]
_LETTER: list[dict[str, str]] = load_schema("dead-letter.v1.json")["examples"]
_HEADERS = sorted(load_schema("dead-letter.v1.json")["properties"])

_DEEP = "a nest deeper than orjson writes"
_VALUES: tuple[Any, ...] = (
    _DEEP,
    *(None, True, 0, -1, 1, 10.0, 1e308, 2**63, 2**64 - 1, -(2**63), 0.1),
    *("", " ", "a", "\x00", "\u2028", "😀", "x" * 201, "x" * 600),
    *([], [None], {}, {"": {"": None}}, [[[[[]]]]], {"id": "a", "text": "b"}),
)
_PIECES = (
    *(b"", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80"),
    *(b"null", b"NaN", b"Infinity", b"1e999", b"-0", b"9" * 40, b"\\ud800", b"\\u0000", b"\xef\xbb\xbf"),
    *(b"[" * 300, b'{"a":' * 300, b"]" * 1100, b"x" * 5000),
)
_TEXTS = (
    *(b"", b" ", b"0", b"-1", b"1", b"007", b"1.5", b"1e3", b"1\n", b"+1", b"9" * 19, b"9" * 30, b"\xd9\xa3", b"nan"),
    *(b"\xff", b"\x00", b"%", b"%zz", b"a%2C,b", b",,,", b"bytes=1 sha256=" + b"0" * 64, b"x" * 3000, b"\n"),
    *(
        b"2026-11-22T00:00:00.125Z",
        b"2026-02-30T00:00:00.000Z",
        b"2026-11-22T24:00:00.000Z",
        b"1000-01-01T00:00:00.000Z",
    ),
    *(b"9999-12-31T23:59:59.999Z", b"2026-11-22T00:00:00.125+01:00", b"tombstone", b"schema", b"2"),
)


def a_value(chance: Random) -> bytes:
    """Make the value of a record: an example that was changed as JSON, or as bytes, or both; or random bytes."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(64))
    document = chance.choice(_REQUEST)
    if chance.random() < 0.7:
        document = copy.deepcopy(document)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _change(document, chance)
    levels = chance.choice((200, 249, 250, 253, 300, 1100))
    value = orjson.dumps(document).replace(orjson.dumps(_DEEP), b"[" * levels + b"]" * levels)
    if chance.random() < 0.4:
        for _ in range(chance.choice((1, 1, 2, 4))):
            value = _cut(value, chance)
    return value


def _change(document: Any, chance: Random) -> None:
    """Replace, remove, add or repeat something at a random place of a document."""
    node = document
    while True:
        if not node:
            return
        at = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        if not isinstance(node[at], dict | list) or chance.random() < 0.3:
            break
        node = node[at]
    match chance.randrange(4):
        case 0:
            del node[at]
        case 1 if isinstance(node, list):
            node.extend(node * chance.choice((1, 30)))
        case 2 if isinstance(node, dict):
            node[chance.choice(("text", "id", "fields", "metadata", "title", "", "x" * 100))] = copy.deepcopy(
                chance.choice(_VALUES)
            )
        case _:
            node[at] = copy.deepcopy(chance.choice(_VALUES))


def _cut(value: bytes, chance: Random) -> bytes:
    """Replace a stretch of bytes by one of the pieces, by another stretch, or by a byte."""
    start = chance.randrange(len(value) + 1)
    stop = min(len(value), start + chance.choice((0, 0, 1, 1, 8, 1000)))
    other = chance.randrange(len(value) + 1)
    piece = chance.choice((chance.choice(_PIECES), value[other : other + 20], chance.randbytes(1)))
    return value[:start] + piece + value[stop:]


def some_headers(chance: Random) -> Headers:
    """Make the headers of a record: a dead letter's, of which some are missing, null, repeated, or something else."""
    headers: list[tuple[str, bytes | None]] = [(name, text.encode()) for name, text in chance.choice(_LETTER).items()]
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
        text = chance.choice(
            (None, chance.choice(_TEXTS), chance.choice(_TEXTS), chance.randbytes(chance.randrange(20)))
        )
        at = chance.randrange(len(headers))
        match chance.randrange(4):
            case 0 if len(headers) > 1:
                del headers[at]
            case 1:
                headers[at] = (headers[at][0], text)
            case 2:
                headers.insert(at, (chance.choice(_HEADERS), text))
            case _:
                headers.append((chance.choice(("", "a", "dlq.", "dlq.else", "DLQ.REASON", "\x00", "é" * 50)), text))
    return tuple(headers)


class Broken(AssertionError):  # noqa: N818 - what a reader did
    """A reader gave neither what it reads nor a clear error."""


def read_event(chance: Random, decoder: Decoder = Decoder(_OPTIONS)) -> str:  # noqa: B008 - it has no state
    """Read an event of this chance, and return what came of it: `valid`, or the reason why not."""
    value = a_value(chance) if chance.random() < 0.99 else None
    try:
        decoder.decode(Record(_PLACE, 0, 0, None, value))
    except InvalidEvent as error:
        _check(error, known=error.reason in REASONS)
        return error.reason
    return "valid"


def read_letter(chance: Random) -> str:
    """Read a dead letter of this chance; one that is valid must be so again after a replay."""
    value = chance.choice((None, b"", b"{}", b"\xff"))
    try:
        letter = read(Record(_PLACE, 0, chance.choice((-1, 0, 2**62)), None, value, some_headers(chance)))
    except NotADeadLetterError as error:
        _check(error)
        return "not a dead letter"
    if not all(text is None or isinstance(text, bytes) for _, text in replayed_headers(letter)):
        raise Broken("a replay would send a header whose value is neither bytes nor null")
    return "valid"


def _check(error: Exception, *, known: bool = True) -> None:
    if not known or not str(error) or "\n" in str(error) or len(str(error)) > _MAX_ERROR:
        raise Broken(f"not a clear error: {error!r}")


@dataclass
class Findings:
    """What came of the examples, and the numbers and traces of those that a reader did not survive."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    crashes: list[tuple[int, str, str]] = field(default_factory=list)


READERS: dict[str, Callable[[Random], str]] = {"event": read_event, "dead letter": read_letter}


def fuzz(seed: int, numbers: range, readers: dict[str, Callable[[Random], str]] | None = None) -> Findings:
    """Give each reader an example of each number; the same seed and number make the same example."""
    findings = Findings()
    for number in numbers:
        for name, reader in (readers or READERS).items():
            try:
                findings.outcomes[name, reader(Random(seed << 40 | number))] += 1
            except Exception:
                findings.outcomes[name, "CRASH"] += 1
                findings.crashes.append((number, name, traceback.format_exc()))
    return findings


def main() -> int:
    """Run the examples, print what came of them, and return 1 where a reader did not survive one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000, help="inputs, half of them for each reader")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--number", type=int, help="only this example, to see a crash again")
    given = parser.parse_args()
    began_s = time.monotonic()
    count = given.examples // len(READERS)
    findings = fuzz(given.seed, range(count) if given.number is None else range(given.number, given.number + 1))
    took_s = time.monotonic() - began_s
    for (reader, outcome), many in sorted(findings.outcomes.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"{reader:12} {outcome:18} {many:>9,}")
    total = findings.outcomes.total()
    print(f"seed {given.seed}: {total:,} inputs in {took_s:.0f} s, {len(findings.crashes)} crashes")
    for number, reader, trace in findings.crashes[:_MOST_SHOWN]:
        print(f"\n{reader}, --seed {given.seed} --number {number}:\n{trace}")
    return 1 if findings.crashes else 0


if __name__ == "__main__":
    sys.exit(main())

"""The judged lists that the demo sends, in the order of a keyword search that has read what the model reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from worker.tools.round_trips import Event

QUERIES = Path(__file__).parent.parent.parent / "demo" / "queries.jsonl"

_TITLES = ("title",)


@dataclass(frozen=True, slots=True)
class JudgedLists:
    """The shipped events. `first_stage` and `model` say what has put them into order, before and after."""

    events: list[Event]
    first_stage: str
    model: str

    def write(self, file: Path) -> Path:
        """Write the events as `rerank-worker publish` reads them, and return the file."""
        file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in self.events))
        return file


def shipped_events() -> list[Event]:
    """Return the shipped events, whose candidates are in the order of BM25 over all attributes."""
    return [orjson.loads(line) for line in QUERIES.read_bytes().splitlines()]


def judged_lists(fields: tuple[str, ...]) -> JudgedLists:
    """Return the shipped lists for a model that reads these fields: like is compared with like.

    For a model that reads titles alone they are in the order of BM25 over titles. Candidates with the same score there
    keep their order.
    """
    events = shipped_events()
    if fields != _TITLES:
        return JudgedLists(events, "BM25 over all attributes", f"the model over {', '.join(fields)}")
    for event in events:
        event["candidates"].sort(key=lambda candidate: -candidate["title_score"])
    return JudgedLists(events, "BM25 over titles", "the model over titles")

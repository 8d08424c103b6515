"""Sends events at times that were decided beforehand, whatever the worker does, and notes when each result came."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import orjson

from worker import dead_letters
from worker.tools.bench.result_checks import Flown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from worker.tools.bench.post import Arrival, Post

_LEAD_S = 0.2  # before the first event, so that it is not late already
_PATIENCE_S = 20.0  # without any result, after which those that are missing are lost
_STRAY_S = 0.3  # after the last result, to see one that comes twice


class Planned(NamedTuple):
    """An event to send `at_s` seconds after the start of a run: its key and bytes, its candidates and its budget.

    `relevance`, float64 (candidates,), is what they were judged, if they were.
    """

    at_s: float
    key: bytes
    value: bytes
    candidates: int
    budget_s: float
    relevance: np.ndarray | None = None


def fly(planned: Sequence[Planned], post: Post, check: Callable[[], None]) -> list[Flown]:
    """Send every event at its time and return what came of it, in the same order.

    Latencies count from the moment when an event was meant to be sent, and its record carries that as its timestamp:
    time that a late sender loses is in them (no coordinated omission). Raises what `check` raises.
    """
    wall_s, start_s = time.time() + _LEAD_S, time.monotonic() + _LEAD_S
    stopped = threading.Event()
    sender = threading.Thread(target=_send, args=(planned, post, start_s, wall_s, stopped), name="sender", daemon=True)
    sender.start()
    try:
        flight_s = planned[-1].at_s + _LEAD_S
        came = post.read_until({each.key for each in planned}, check, patience_s=flight_s + _PATIENCE_S)
        came += post.read(_STRAY_S)
    finally:
        stopped.set()
        sender.join()
    return _matched(planned, came, post.options.dead_letter_topic, start_s, wall_s)


def _send(planned: Sequence[Planned], post: Post, start_s: float, wall_s: float, stopped: threading.Event) -> None:
    for each in planned:
        if stopped.wait(max(0.0, start_s + each.at_s - time.monotonic())):
            return
        post.send(each.key, each.value, at_ms=round((wall_s + each.at_s) * 1000))


def _matched(
    planned: Sequence[Planned], came: Sequence[Arrival], dead_letter_topic: str, start_s: float, wall_s: float
) -> list[Flown]:
    flown = {
        each.key: Flown(each.candidates, each.budget_s, at_s=each.at_s, relevance=each.relevance) for each in planned
    }
    meant = {each.key: each.at_s for each in planned}
    for record, came_s in came:
        key = record.key or b""
        if key not in flown:
            continue
        one = flown[key]
        one.copies += 1
        if one.copies > 1:
            continue
        one.came_s = came_s - start_s - meant[key]
        one.published_s = record.timestamp_ms / 1000 - wall_s - meant[key]
        if record.partition.topic == dead_letter_topic:
            one.refused = dead_letters.read(record).message
        else:
            one.result = orjson.loads(record.value or b"null")
    return [flown[each.key] for each in planned]

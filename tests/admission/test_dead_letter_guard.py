"""When the worker has seen too many dead letters: by share, by row, in the order of receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.making import PARTITION
from worker.admission.dead_letter_guard import DeadLetterGuard, DeadLetterLimits, stopped_by
from worker.config.settings import load
from worker.exits import Exit, StopError
from worker.offsets.tracker import OffsetTracker

if TYPE_CHECKING:
    from worker.offsets.tracker import TrackedOffset

GOOD = None
Ends = list[str | None]


class Stream:
    """Events that are received in order, and end as a test says."""

    def __init__(self, **limits: float) -> None:
        off = {"dead_letter_ratio": 1.0, "dead_letters_in_a_row": 0}
        self.guard = DeadLetterGuard(DeadLetterLimits(**{**off, **limits}))  # type: ignore[arg-type]
        self._tracker = OffsetTracker()
        self._tracker.assign([PARTITION])
        self._next = 0

    def receive(self) -> TrackedOffset:
        tracked = self._tracker.track(PARTITION, self._next)
        assert tracked
        self._next += 1
        self.guard.on_admitted(tracked)
        return tracked

    def end(self, tracked: TrackedOffset, reason: str | None, *, done: bool = True) -> None:
        self._tracker.finish(tracked, done=done)
        self.guard.on_finished(tracked, reason)

    def run(self, *reasons: str | None) -> str | None:
        for reason in reasons:
            self.end(self.receive(), reason)
        return self.guard.verdict


def test_dead_letters_in_a_row_are_too_many_and_the_commonest_reason_is_named() -> None:
    stream = Stream(dead_letters_in_a_row=3)
    assert stream.run("schema", "schema", GOOD, "schema", "model") is None
    assert stream.run("model") == (
        "3 events in a row became dead letters (--dead-letters-in-a-row), most often for the reason model (2)"
    )


def test_a_share_of_the_window_is_too_large_once_the_window_is_full() -> None:
    stream = Stream(dead_letter_ratio=0.5, dead_letter_window=4)
    assert stream.run("schema", "schema", "no_text") is None
    assert stream.run(GOOD) == (
        "3 of the last 4 events became dead letters, more than 0.5 of them (--dead-letter-ratio), "
        "most often for the reason schema (2)"
    )


def test_a_share_that_only_reaches_the_limit_is_not_too_large() -> None:
    assert (
        Stream(dead_letter_ratio=0.5, dead_letter_window=4).run("schema", GOOD, "schema", GOOD, "model", GOOD) is None
    )


def test_what_has_left_the_window_counts_no_more() -> None:
    stream = Stream(dead_letter_ratio=0.5, dead_letter_window=4)
    assert stream.run("schema", "schema", GOOD, GOOD, GOOD, "model") is None
    assert str(stream.run("model", "model")).endswith("reason model (3)")


def test_the_first_verdict_stays() -> None:
    stream = Stream(dead_letters_in_a_row=2)
    first = stream.run("schema", "schema")
    assert first is not None
    assert stream.run(GOOD, "model", "model") == first


def test_without_limits_nothing_is_too_much() -> None:
    assert Stream(dead_letter_window=10).run(*["schema"] * 1000) is None


def test_bad_events_that_end_before_good_ones_are_no_row() -> None:
    stream = Stream(dead_letters_in_a_row=3, dead_letter_ratio=0.6, dead_letter_window=4)
    tracked_offsets = [stream.receive() for _ in range(8)]
    for bad in tracked_offsets[1::2]:
        stream.end(bad, "schema")
    for good in tracked_offsets[::2]:
        stream.end(good, GOOD)
    assert stream.guard.verdict is None


def test_a_dropped_event_counts_for_nothing_and_holds_nothing_up() -> None:
    stream = Stream(dead_letters_in_a_row=2)
    dropped = stream.receive()
    assert stream.run("schema", "schema") is None
    stream.end(dropped, "model", done=False)
    assert str(stream.guard.verdict).endswith("reason schema (2)")


@given(
    st.lists(st.sampled_from([GOOD, GOOD, "schema", "model"]), max_size=60),
    st.integers(0, 5),
    st.integers(1, 12),
    st.floats(0.1, 1.0),
    st.randoms(use_true_random=False),
)
def test_the_verdict_is_that_of_the_order_of_receipt_whatever_ends_first(
    ends: Ends, row: int, window: int, ratio: float, chance: object
) -> None:
    stream = Stream(dead_letters_in_a_row=row, dead_letter_window=window, dead_letter_ratio=ratio)
    inside = [(stream.receive(), reason) for reason in ends]
    chance.shuffle(inside)  # type: ignore[attr-defined]
    for tracked, reason in inside:
        stream.end(tracked, reason)
    assert (stream.guard.verdict is not None) == _too_much(ends, row, window, ratio)
    assert not stream.guard._received
    assert not stream.guard._ended


def _too_much(ends: Ends, row: int, window: int, ratio: float) -> bool:
    """Say the same by looking at every stretch of the stream."""
    rows = (ends[at : at + row] for at in range(len(ends) - row + 1))
    windows = (ends[at : at + window] for at in range(len(ends) - window + 1))
    in_a_row = row > 0 and any(GOOD not in stretch for stretch in rows)
    return in_a_row or any(len(stretch) - stretch.count(GOOD) > ratio * window for stretch in windows)


@pytest.mark.parametrize(
    "flags", [{"dead_letter_ratio": "0"}, {"dead_letter_ratio": "1.1"}, {"dead_letters_in_a_row": "-1"}]
)
def test_a_limit_that_means_nothing_is_refused(flags: dict[str, str]) -> None:
    with pytest.raises(StopError, match="--dead-letter"):
        load(flags, {})


def test_the_worker_stops_with_what_was_passed_and_what_to_do() -> None:
    error = stopped_by("200 events in a row became dead letters")
    assert error.code is Exit.DEAD_LETTERS
    assert str(error).startswith("200 events in a row became dead letters; nothing is committed that was not published")
    assert "`rerank-worker dead-letters`, mend the cause" in str(error)

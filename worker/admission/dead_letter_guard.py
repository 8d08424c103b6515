"""When too much becomes a dead letter: a share of the last events, or too many in a row, in the order of receipt."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le
from typing_extensions import Doc

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.offsets.tracker import TrackedOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterLimits:
    """How much may become a dead letter before the worker stops, rather than empty a topic after a bad deploy."""

    dead_letter_ratio: Annotated[
        float,
        Gt(0),
        Le(1),
        Doc("Share of dead letters among the last events (dead_letter_window) past which the worker stops; 1: never."),
    ] = 0.5
    dead_letter_window: Annotated[int, Gt(0), Doc("Events that dead_letter_ratio looks back on.")] = 1000
    dead_letters_in_a_row: Annotated[
        int, Ge(0), Doc("Dead letters in a row, in the order of receipt, at which the worker stops; 0: never.")
    ] = 200


class DeadLetterGuard:
    """Follows how events end, and says when a limit is passed.

    Events are judged in the order in which they were received, not in that in which they end: a bad event ends at once,
    while a good one waits for the model, so that the bad ones of a backlog would look like a row.
    """

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._received: deque[TrackedOffset] = deque()
        self._ended: dict[TrackedOffset, str | None] = {}  # with what reason; those behind one that has not ended
        self._window: deque[str | None] = deque()
        self._reasons: Counter[str] = Counter()  # of the window
        self._row: deque[str] = deque(maxlen=limits.dead_letters_in_a_row)
        self.verdict: str | None = None  # which limit was passed, and by what; the first one stays

    def on_admitted(self, tracked: TrackedOffset) -> None:
        """Note an event that came in."""
        self._received.append(tracked)

    def on_finished(self, tracked: TrackedOffset, reason: str | None) -> None:
        """Note how it ended: with the reason of its dead letter, or with a result. A dropped one ends without `done`.

        To be called once for each event that was received, after its tracked offset was finished.
        """
        self._ended[tracked] = reason
        while self._received and self._received[0] in self._ended:
            first = self._received.popleft()
            why = self._ended.pop(first)
            if first.done:
                self._judge(why)

    def _judge(self, reason: str | None) -> None:
        limits = self._limits
        self._window.append(reason)
        if reason is not None:
            self._reasons[reason] += 1
            self._row.append(reason)
        else:
            self._row.clear()
        if len(self._window) > limits.dead_letter_window:
            gone = self._window.popleft()
            if gone is not None:
                self._reasons[gone] -= 1
        if self.verdict is None:
            self.verdict = self._row_verdict() or self._ratio_verdict()

    def _row_verdict(self) -> str | None:
        limit = self._limits.dead_letters_in_a_row
        if not limit or len(self._row) < limit:
            return None
        return f"{len(self._row)} events in a row became dead letters (--dead-letters-in-a-row), {_most(self._row)}"

    def _ratio_verdict(self) -> str | None:
        limits = self._limits
        dead = self._reasons.total()
        if len(self._window) < limits.dead_letter_window or dead <= limits.dead_letter_ratio * len(self._window):
            return None
        return (
            f"{dead} of the last {len(self._window)} events became dead letters, more than "
            f"{limits.dead_letter_ratio:g} of them (--dead-letter-ratio), {_most(self._reasons.elements())}"
        )


def stopped_by(verdict: str) -> StopError:
    """Return the error that the worker stops with once a limit is passed."""
    return StopError(
        Exit.DEAD_LETTERS,
        f"{verdict}; nothing is committed that was not published, the rest is read again; see `rerank-worker "
        "dead-letters`, mend the cause, restart the worker, then `rerank-worker replay`",
    )


def _most(reasons: Iterable[str]) -> str:
    ((reason, count),) = Counter(reasons).most_common(1)
    return f"most often for the reason {reason} ({count})"

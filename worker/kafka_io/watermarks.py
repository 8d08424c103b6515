"""How far a consumer's partitions were received and where they end, without waiting for a broker.

The answers to fetches say where a partition ends; none come while it is paused, or before the first one.
"""

from __future__ import annotations

from typing import Any

from kafka.protocol.consumer import OffsetSpec

from worker.offsets.lag import Watermark

_ASK_EVERY_S = 5.0
_ASK_AGAIN_S = 30.0  # after a question without an answer: a broker that is away has other things to do


class Watermarks:
    """The places of one KafkaConsumer. `paused_s` is since when all its partitions are paused, None if they are not."""

    def __init__(self, consumer: Any) -> None:
        self.paused_s: float | None = None
        self._subscription = consumer._subscription  # noqa: SLF001 - its own methods wait for the broker, and raise
        self._fetcher = consumer._fetcher  # noqa: SLF001
        self._manager = consumer._manager  # noqa: SLF001
        self._question: Any = None  # on its way
        self._asked_s = 0.0
        self._due_s = 0.0
        self._ends: dict[Any, int] = {}  # as they were answered
        self._ends_s = 0.0  # when that was asked

    @property
    def paused(self) -> bool:
        """Whether all partitions are paused."""
        return self.paused_s is not None

    def look(self, now_s: float) -> dict[Any, Watermark]:
        """Return the place of each assigned partition, by the client's name for it."""
        states = dict(self._subscription.assignment)
        self._take_answer(now_s)
        if self._question is None and now_s >= self._due_s and self._is_in_the_dark(states):
            self._asked_s = now_s
            self._question = self._manager.call_soon(
                self._fetcher._send_list_offsets_requests,  # noqa: SLF001 - one try; the client's method tries for ever
                dict.fromkeys(states, OffsetSpec.LATEST),
            )
        return {name: self._place(name, state, now_s) for name, state in states.items()}

    def _is_in_the_dark(self, states: dict[Any, Any]) -> bool:
        return bool(states) and (self.paused or any(state.highwater is None for state in states.values()))

    def _take_answer(self, now_s: float) -> None:
        if self._question is None or not self._question.is_done:
            return
        if self._question.failed():
            self._due_s = now_s + _ASK_AGAIN_S
        else:
            self._due_s = now_s + _ASK_EVERY_S
            found, _ = self._question.value
            self._ends, self._ends_s = {name: answer.offset for name, answer in found.items()}, self._asked_s
        self._question = None

    def _place(self, name: Any, state: Any, now_s: float) -> Watermark:
        position = None if state.position is None else state.position.offset
        fetched_s = now_s if self.paused_s is None else self.paused_s
        asked = self._ends.get(name)
        if asked is not None and (state.highwater is None or self._ends_s > fetched_s):
            # The later answer; but to a reader of committed records it does not count what is in open transactions.
            return Watermark(position, max(asked, state.highwater or 0), self._ends_s)
        return Watermark(position, state.highwater, fetched_s)

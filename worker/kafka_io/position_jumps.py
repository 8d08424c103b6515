"""Notes where reading goes on elsewhere than it had come to: requests were skipped, or are read again.

The client says so at INFO only, which the worker hides. It moves a position by itself where the partition has no such
offset any more, or not yet: after retention or kafka-delete-records.sh, where a log was truncated, where a topic was
created again under its name.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.records import Partition

if TYPE_CHECKING:
    from kafka import OffsetAndMetadata


class PositionJump(NamedTuple):
    """Reading of a partition should have gone on at one offset, and goes on at another one."""

    partition: Partition
    from_offset: int
    to_offset: int


class PositionJumps:
    """The jumps of one KafkaConsumer, whose subscription it changes. `happened` is filled on the client's thread."""

    def __init__(self, consumer: Any) -> None:
        self.happened: deque[PositionJump] = deque()
        self._subscription = consumer._subscription  # noqa: SLF001 - the client has no hook for this
        self._left: dict[Any, tuple[Any, int]] = {}  # the state of a partition that seeks a new position; its old one
        self._reset = self._subscription.request_offset_reset
        self._seek = self._subscription.seek
        self._subscription.request_offset_reset = self._note_reset
        self._subscription.seek = self._note_seek

    def seek(self, name: Any, offset: int) -> None:
        """Move a position on purpose, which is no jump."""
        self._left.pop(name, None)
        self._seek(name, offset)

    def _note_reset(self, name: Any, strategy: Any = None) -> None:
        """Keep where a position was: the client does not know yet where it goes on."""
        state = self._subscription.assignment[name]
        if state.position is not None:
            self._left[name] = (state, state.position.offset)
        self._reset(name, strategy)

    def _note_seek(self, name: Any, offset: int | OffsetAndMetadata) -> None:
        state = self._subscription.assignment.get(name)
        before = None if state is None or state.position is None else state.position.offset
        left, from_offset = self._left.pop(name, (None, 0))
        if left is not None and left is state:  # and not of an earlier stay of the partition
            before = from_offset
        self._seek(name, offset)
        to_offset = offset if isinstance(offset, int) else offset.offset
        if before is not None and before != to_offset:
            self.happened.append(PositionJump(Partition(name.topic, name.partition), before, to_offset))

"""The member's place in the group, as the main thread knows it and as a transaction on another thread may use it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka.coordinator.base import MemberState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.kafka_io.fixes.rejoin import Joins
    from worker.kafka_io.killed_members import MemberFile

_SHORT_JOIN_S = 0.5  # most joins are over before: a transaction had better wait for their end


class Membership:
    """Follows one KafkaConsumer from poll to poll: whether it is a member, and by which name."""

    def __init__(self, client: Any, joins: Joins, file: MemberFile) -> None:
        self._client = client
        self._joins = joins
        self._file = file
        self._joined = False
        self._told_member = self._known_member = ""  # of the last poll, and of the one before

    @property
    def joined(self) -> bool:
        """Whether the group was joined, and has not thrown the member out since. Any thread may ask."""
        return self._joined and not self._joins.is_thrown_out()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Note what a poll changes: around it. What came with the one before was dealt with."""
        self._known_member = self._told_member
        try:
            yield
        finally:
            self._told_member = self._client.group_metadata().member_id
            if self._told_member != self._known_member:
                self._file.note(self._told_member)
        if not self._joined and not self._joins.under_way:
            self._joined = self._client.group_metadata().state == MemberState.STABLE

    @contextmanager
    def held(self) -> Iterator[Any]:
        """Give the member's place in the group, for a transaction; None while it has none. One thread may ask, any.

        Meanwhile no new join begins, so that no partition can leave. Neither can one with a join that waits for other
        members: a partition that it takes away leaves with the join behind it. Such a join may end in the middle of a
        commit, which is refused then, so it counts only where it takes long. A member that was thrown out and has come
        back has no place before the next `poll`: until then nobody has been told which partitions were lost.
        """
        with self._joins.held() as settled:
            waiting = self._joins.left_behind(_SHORT_JOIN_S)  # before the look at the place, which may be the next one
            place = self._client.group_metadata()
            stable = settled and place.state == MemberState.STABLE
            if waiting is not None:
                stable = place.generation_id == waiting.generation_id
            yield place if stable and place.member_id == self._known_member else None

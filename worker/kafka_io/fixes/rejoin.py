"""Keeps the client from losing a join of the group that ends between two calls of `poll`, and holds joins off.

kafka-python 3.0.12 sends JoinGroup and SyncGroup in a task of their own, and takes their result inside `poll` alone.
Where the task ends while nobody polls, the next `poll` throws the result away and, by the reason for the join, either
starts over (so that `poll(0)` never joins) or believes that it has nothing to do (so that the member sits in the group
without partitions and without heartbeats, for ever). Here the task waits with its end until somebody polls, and a join
that is under way counts as a reason to go on with it.

Two more of its faults concern a member that the group has thrown out. Where it finds that out while it joins, it would
not say that its partitions are lost, because that is only looked at before the first try: here it is looked at again.
And it would join with a claim on them, which makes the group give them to it while their next owner still has them:
here it claims nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.coordinator.base import MemberState

_LOOK_S = 0.002


class Joins:
    """The joins of one KafkaConsumer, whose coordinator it changes."""

    def __init__(self, consumer: Any) -> None:
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
        self._net = consumer._net  # noqa: SLF001
        self._attended = False
        self._held = False
        self._before: Any = None  # the generation that the last join has ended, or will
        self._began_s = 0.0
        self._do_join = self._coordinator._do_join_and_sync_async  # noqa: SLF001
        self._need_rejoin = self._coordinator.need_rejoin
        self._coordinator._do_join_and_sync_async = self._join  # noqa: SLF001
        self._coordinator.need_rejoin = lambda: self.under_way or self._need_rejoin()

    @property
    def under_way(self) -> bool:
        """Whether a join was begun whose result `poll` has not taken yet."""
        return self._coordinator._join_task is not None  # noqa: SLF001

    def left_behind(self, for_s: float = 0.0) -> Any:
        """Return the generation that a join will end which has waited for other members so long; None: there is none.

        Until all have joined, the group takes this member's commits in it. Any thread may ask.
        """
        coordinator, before = self._coordinator, self._before
        waits = coordinator.state is MemberState.REBALANCING and coordinator._generation is before  # noqa: SLF001
        return before if waits and time.monotonic() >= self._began_s + for_s else None

    def is_thrown_out(self) -> bool:
        """Return whether the member belongs to no generation, also because it is new. Any thread may ask."""
        return bool(self._coordinator._generation.is_lost())  # noqa: SLF001

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Let joins end meanwhile: around `poll`."""
        self._attended = True
        try:
            yield
        finally:
            self._attended = False

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Let no join begin meanwhile; the value is whether none had begun. For one thread, any."""
        self._held = True  # before the look: a join that begins after it waits
        try:
            yield not self.under_way
        finally:
            self._held = False

    async def _join(self) -> Any:
        """Join on the client's IO thread, and return the assignment when somebody polls."""
        while self._held:
            await self._net.sleep(_LOOK_S)
        if self.is_thrown_out():
            for assignor in self._coordinator._assignors.values():  # noqa: SLF001
                assignor.member_assignment = None
        if self._coordinator.state is MemberState.STABLE:
            self._before = self._coordinator._generation  # noqa: SLF001
            self._began_s = time.monotonic()
        try:
            assignment = await self._do_join()
        except BaseException:
            if self.is_thrown_out():
                self._coordinator.rejoining = False
            raise
        while not self._attended:
            await self._net.sleep(_LOOK_S)
        return assignment

"""What happened to the worker's partitions, told by the client's listener to the main thread.

kafka-python calls the listener on its IO thread while the main thread is inside `poll`, and `poll` returns no sooner
than the listener does. So a listener that waited for the main thread to finish its work would wait for ever. Instead
it makes `poll` return at once, by raising: the client finishes its own bookkeeping, then raises a KafkaError from the
listener's. The member is stable in the new generation then and may commit; it gives the partitions away with the next
call of `poll`, when it joins again.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from kafka import AsyncConsumerRebalanceListener

from worker.records import Partition

Kind = Literal["assigned", "revoked", "lost"]
Offsets = dict[Partition, int]


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Partitions came, have to be handed over (`revoked`), or belong to somebody else already (`lost`).

    After `revoked`, the others wait until the next poll; before it, finish what is in hand and call `release`.
    """

    kind: Kind
    partitions: frozenset[Partition]
    _commit: Callable[[Offsets], bool]

    def release(self, offsets: Offsets) -> bool:
        """Commit where the partitions' next owner goes on, and return whether the group accepted that.

        Raises StopError where the commit fails for good.
        """
        return self._commit(offsets) if offsets else True


class HandOver(Exception):  # noqa: N818 - a message to `poll`, not an error
    """Makes `poll` return after partitions were revoked."""


class Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """Notes what the client says. Its methods run on the client's IO thread while the main thread waits in `poll`."""

    def __init__(self, commit: Callable[[Offsets], bool], pause: Callable[[Iterable[Any]], None]) -> None:
        self.happened: deque[Rebalance] = deque()
        self.closing = False
        self._commit = commit
        self._pause = pause

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Note partitions that have to be handed over; nothing while closing, when all was committed before."""
        if self.closing:
            return
        self._note("revoked", revoked)
        raise HandOver

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Note new partitions; nothing of them was fetched yet."""
        self._pause(assigned)
        self._note("assigned", assigned)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Note partitions that others own already. The client's own method would treat them as revoked."""
        if not self.closing:
            self._note("lost", lost)

    def _note(self, kind: Kind, partitions: Iterable[Any]) -> None:
        names = frozenset(Partition(partition.topic, partition.partition) for partition in partitions)
        self.happened.append(Rebalance(kind, names, self._commit))


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for the client's log of a HandOver, which it takes for a failed listener."""
    return not (record.exc_info and isinstance(record.exc_info[1], HandOver))


logging.getLogger("kafka.coordinator.consumer").addFilter(_is_news)

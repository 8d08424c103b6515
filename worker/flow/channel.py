"""One-way queues between threads: they end when their writer ends, and what is in them is still seen."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class EndOfChannelError(Exception):
    """The channel is closed and everything in it was taken."""


class Channel(Generic[T]):
    """A queue without a bound: worker.admission.in_flight_limit bounds what is in flight, for all stages at once."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._closed = False

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item. Raises EndOfChannelError after close: nothing is lost in silence."""
        with self._changed:
            if self._closed:
                raise EndOfChannelError
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Say that no more comes; readers end once they have seen what is there. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> list[T]:
        """Take everything that waits; wait for the first item, or `timeout_s`, where there is none.

        Returns [] when the time is up; raises EndOfChannelError at the end.
        """
        with self._changed:
            self._await(timeout_s)
            items = list(self._items)
            self._items.clear()
        return items

    def __iter__(self) -> Iterator[T]:
        """Give one item at a time, shared fairly among several readers, until the channel ends."""
        while True:
            with self._changed:
                try:
                    self._await(None)
                except EndOfChannelError:
                    return
                item = self._items.popleft()
            yield item

    def _await(self, timeout_s: float | None) -> None:
        if not self._items and not self._closed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
        if self._closed and not self._items:
            raise EndOfChannelError

"""The bound on open connections, which silent clients cannot use up."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Connections:
    """The open connections, at most `limit`: one more ends the one that has waited longest for its client.

    So clients that say nothing, however many, neither keep a probe out nor take memory. A connection whose request has
    come, or is being answered, goes only when all are such. For any thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: dict[socket.socket, bool] = {}  # whether it is being answered; the longest unchanged first

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: socket.socket) -> None:
        """Take a new one in."""
        with self._lock:
            while len(self._open) >= self._limit:
                self._end_one()
            self._open[connection] = False

    def remove(self, connection: socket.socket) -> None:
        """Forget one, before it is closed; it may have been ended here."""
        with self._lock:
            self._open.pop(connection, None)

    @contextlib.contextmanager
    def answering(self, connection: socket.socket) -> Iterator[None]:
        """Say that its request is being answered while the block lasts."""
        self._change(connection, answered=True)
        try:
            yield
        finally:
            self._change(connection, answered=False)

    def _change(self, connection: socket.socket, *, answered: bool) -> None:
        with self._lock:
            if self._open.pop(connection, None) is not None:
                self._open[connection] = answered

    def _end_one(self) -> None:
        waiting = [connection for connection, answered in self._open.items() if not answered]
        silent = (connection for connection in waiting if not _has_sent(connection))
        chosen = next(silent, None) or next(iter(waiting or self._open))
        del self._open[chosen]
        with contextlib.suppress(OSError):  # its client has hung up
            chosen.shutdown(socket.SHUT_RDWR)  # its thread sees the end of the stream, and closes it


def _has_sent(connection: socket.socket) -> bool:
    """Return whether there is something to read that its thread has not read yet."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))

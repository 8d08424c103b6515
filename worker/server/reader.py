"""Reads what a client sends, for a bounded time and a bounded number of bytes for each request."""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer


class TooMuchSent(http.client.HTTPException):
    """The head of a request is longer than is read."""


class RequestReader(io.RawIOBase):
    """The bytes of a connection. The limits are on a request: a byte now and then does not hold a thread for ever."""

    def __init__(self, connection: socket.socket, *, within_s: float, most_bytes: int) -> None:
        self._connection = connection
        self._within_s = within_s
        self._most_bytes = most_bytes
        self.begin()

    def begin(self) -> None:
        """Begin with the next request."""
        self._until_s = time.monotonic() + self._within_s
        self.received = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Receive some bytes; 0 at the end. Raises TimeoutError, and TooMuchSent."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request did not come in time")
        left = self._most_bytes - self.received
        if left <= 0:
            raise TooMuchSent(f"expected at most {self._most_bytes} bytes")
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(buffer)[:left])
        self.received += count
        return count

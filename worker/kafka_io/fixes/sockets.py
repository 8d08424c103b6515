"""Closes the sockets that kafka-python 3.0.12 leaves open until they are garbage, and those that nobody answers.

Those of connections that fail, and those that are closed while they still have bytes to send: their writing task would
close them, and is cancelled with the client. And those on which nobody answers a TLS handshake: the client bounds the
time for the connection before it and for the requests after it, and would wait for this one for ever.
"""

import ssl
from typing import Any

from kafka.errors import KafkaTimeoutError
from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

NO_HANDSHAKE = "no answer to the TLS handshake"

_connect = KafkaNetSocket.sock_connect
_write = KafkaTCPTransport._write_to_sock  # noqa: SLF001 - the client has no hook for this
# Until when a file descriptor may take to be connected: what makes TLS of it is not told.
_connected_by_s: dict[int, float | None] = {}


async def _connect_or_close(self: Any, net: Any, sock: Any, *arguments: Any, **options: Any) -> Any:
    try:
        connected = await _connect(self, net, sock, *arguments, **options)
    except BaseException:
        sock.close()
        raise
    _connected_by_s[sock.fileno()] = options.get("timeout_at")
    return connected


async def _handshake_or_close(self: Any) -> None:
    try:
        await _handshake(self, _connected_by_s.pop(self._sock.fileno(), None))
    except KafkaTimeoutError:
        self._close()
        raise TimeoutError(NO_HANDSHAKE) from None
    except BaseException:
        self._close()
        raise


async def _handshake(self: Any, until_s: float | None) -> None:
    while True:
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            await self._net.wait_read(self._sock, until_s)
        except ssl.SSLWantWriteError:
            await self._net.wait_write(self._sock, until_s)
        else:
            return


async def _write_or_close(self: Any) -> None:
    try:
        await _write(self)
    except BaseException:
        # Not _close(), which would cancel this very task.
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
        raise


def close_sockets() -> None:
    """Change the client's classes. May be called again."""
    KafkaNetSocket.sock_connect = _connect_or_close
    KafkaSSLTransport.handshake = _handshake_or_close
    KafkaTCPTransport._write_to_sock = _write_or_close  # noqa: SLF001

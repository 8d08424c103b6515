"""Closes the sockets that kafka-python 3.0.12 leaves open until they are garbage.

Those of connections that fail, and those that are closed while they still have bytes to send: their writing task would
close them, and is cancelled with the client.
"""

from typing import Any

from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

_connect = KafkaNetSocket.sock_connect
_handshake = KafkaSSLTransport.handshake
_write = KafkaTCPTransport._write_to_sock  # noqa: SLF001 - the client has no hook for this


async def _connect_or_close(self: Any, net: Any, sock: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return await _connect(self, net, sock, *arguments, **options)
    except BaseException:
        sock.close()
        raise


async def _handshake_or_close(self: Any) -> None:
    try:
        await _handshake(self)
    except BaseException:
        self._close()
        raise


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

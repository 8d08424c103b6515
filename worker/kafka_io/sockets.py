"""Closes the sockets of connections that fail: kafka-python 3.0.12 leaves them open until they are garbage."""

from typing import Any

from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport

_connect = KafkaNetSocket.sock_connect
_handshake = KafkaSSLTransport.handshake


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


def close_failed_connections() -> None:
    """Change the client's classes. May be called again."""
    KafkaNetSocket.sock_connect = _connect_or_close
    KafkaSSLTransport.handshake = _handshake_or_close

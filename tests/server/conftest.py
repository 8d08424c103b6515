"""A server with the worker's metrics, and clients that speak to it byte by byte."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from worker.observe.health import Health
from worker.observe.metrics import Metrics
from worker.server import HttpServer, ServerOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric


class Server(HttpServer):
    """Says when a request has failed."""

    def __init__(self, health: Health, host: str = "127.0.0.1") -> None:
        self.metrics = Metrics(["tombstone"])
        self.failed = threading.Event()
        super().__init__(ServerOptions(http_host=host, http_port=0), self.metrics.registry, health)

    def serve_forever(self, poll_interval: float = 0.01) -> None:
        super().serve_forever(poll_interval)  # else each test waits half a second for its end

    def handle_error(self, request: object, client_address: object) -> None:
        super().handle_error(request, client_address)
        self.failed.set()


@pytest.fixture
def health() -> Health:
    return Health(live_limit_s=60)


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    server = Server(health)
    server.start()
    yield server
    server.close()


def from_openmetrics(page: bytes) -> list[Metric]:
    """Return what the reference parser makes of a page. Raises ValueError where it refuses it."""
    return list(openmetrics.text_string_to_metric_families(page.decode()))  # type: ignore[no-untyped-call]


class Client:
    """Connections to a server."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Connect, and send something."""
        place = ("127.0.0.1", self._server.port)
        connection = self._stack.enter_context(socket.create_connection(place, timeout=60))
        connection.sendall(sent)
        return connection

    def talk(self, sent: bytes) -> bytes:
        """Send something, and return all that comes until the server ends the connection."""
        return until_closed(self.connect(sent))


def until_closed(connection: socket.socket) -> bytes:
    """Return all that comes until the connection is ended."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with ExitStack() as stack:
        yield Client(server, stack)

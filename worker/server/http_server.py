"""The server itself: it listens, bounds its connections, and gives each a thread."""

from __future__ import annotations

import logging
import sys
import threading
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from worker.exits import Exit, StopError
from worker.server.address import Address, addresses, has_no_ipv6, in_url, open_to_all, option_at_fault
from worker.server.connections import Connections
from worker.server.handler import Handler, Serving
from worker.status import Status, load_page

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from worker.observe.health import Health
    from worker.server.options import ServerOptions

log = logging.getLogger(__name__)


class HttpServer(Serving):
    """Serves from a thread of its own until closed. Raises StopError where it cannot listen."""

    CONNECTIONS = 64  # each has a thread
    daemon_threads = True
    request_queue_size = 512  # a crowd of clients must not have a probe wait for the second try of its connection

    def __init__(self, options: ServerOptions, registry: CollectorRegistry, health: Health) -> None:
        self.registry = registry
        self.health = health
        self.status = Status(registry, health)
        self.page = load_page()
        self.connections = Connections(self.CONNECTIONS)
        try:
            self._listen(addresses(options.http_host, options.http_port))
        except OSError as error:
            raise StopError(
                Exit.PORT,
                f"cannot serve HTTP on {in_url(options.http_host)}:{options.http_port}: {error.strerror}; "
                f"set {option_at_fault(error)}",
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, name="http", daemon=True)

    def _listen(self, places: list[Address]) -> None:
        for number, self._address in enumerate(places, start=1):
            self.address_family = self._address.family
            try:
                super().__init__(self._address.place, Handler)
            except OSError as error:
                if number == len(places) or not has_no_ipv6(error):
                    raise
            else:
                return

    def server_bind(self) -> None:
        """Bind without asking the DNS for the host's full name, as the library would: that can take long."""
        open_to_all(self.socket, self._address)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        """Remember how things stand for the status page; `serve_forever` calls this twice a second."""
        self.status.sample()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection in, and start its thread."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.remove(request)
        super().shutdown_request(request)

    def handle_error(self, _request: object, client_address: object) -> None:
        """Log what ended a connection; the library would print a traceback for every client that hangs up."""
        error = sys.exception()
        if isinstance(error, ConnectionError | TimeoutError):
            log.debug("%s hung up: %s", client_address, error, extra={"event": "http_hung_up"})
        else:
            log.error(
                "a request from %(client)s failed",
                {"client": client_address},
                exc_info=error,
                extra={"event": "http_failed"},
            )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

"""The HTTP server: /metrics for Prometheus, /livez and /readyz for Kubernetes, and a page for people at /."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le
from prometheus_client.exposition import choose_encoder
from typing_extensions import Doc

from worker.exits import Exit, StopError
from worker.status import Status, load_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry

    from worker.pipeline import Pulse

log = logging.getLogger(__name__)

State = Literal["starting", "ready", "not ready", "draining"]

_PATHS = "/, /status.json, /metrics, /livez or /readyz"
_NEW_EACH_TIME = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where the HTTP server listens, and when the worker counts as dead."""

    http_host: Annotated[str, Doc("Address that the status page, /metrics, /livez and /readyz are served on.")] = (
        "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet come from other hosts
    )
    http_port: Annotated[int, Ge(0), Le(65535), Doc("Port of the HTTP server; 0 takes a free one.")] = 9464
    live_limit_s: Annotated[
        float, Gt(0), Doc("Seconds without a turn of the main loop or the scorer after which /livez fails.")
    ] = 60.0


class Health:
    """What the probes ask: pure memory, never the broker, so that a broken broker does not restart every worker."""

    def __init__(self, live_limit_s: float) -> None:
        self._limit_s = live_limit_s
        self._pulses: dict[str, Pulse] = {}
        self._is_ready: Callable[[], str | None] = lambda: "the model is loading"
        self._is_draining: Callable[[], bool] = lambda: False
        self._was_ready = False

    def watch(self, pulses: dict[str, Pulse]) -> None:
        """Take these threads into /livez."""
        self._pulses = pulses

    def ready_when(self, is_ready: Callable[[], str | None], is_draining: Callable[[], bool] = lambda: False) -> None:
        """Ask these for what is still missing, None when the worker is ready, and whether it takes nothing more."""
        self._is_ready, self._is_draining = is_ready, is_draining

    def livez(self) -> str | None:
        """Return what has stopped advancing, None when all is well."""
        stuck = [
            f"{name} has not advanced for {age_s:.1f} s"
            for name, pulse in self._pulses.items()
            if (age_s := pulse.age_s()) > self._limit_s
        ]
        return "; ".join(stuck) or None

    def readyz(self) -> str | None:
        """Return what is still missing, None when the worker is ready."""
        missing = self._is_ready()
        self._was_ready = self._was_ready or missing is None
        return missing

    def state(self) -> tuple[State, str | None]:
        """Return where the worker is in its life, and what it lacks, None when that is nothing."""
        missing = self.readyz()
        trouble = self.livez() or missing
        if self._is_draining():
            return "draining", trouble
        if missing is None:
            return "ready", trouble
        return "not ready" if self._was_ready else "starting", trouble


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    timeout = 10  # a silent client must not hold a thread for ever
    server_version = "rerank-worker"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/":
                page = self.server.page
                self._reply(
                    HTTPStatus.OK, page.body, "text/html; charset=utf-8", {"Content-Security-Policy": page.policy}
                )
            case "/status.json":
                self._reply(HTTPStatus.OK, self.server.status.as_json(), "application/json")
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._reply(HTTPStatus.OK, encode(self.server.registry), content_type)
            case "/livez":
                self._probe(self.server.health.livez())
            case "/readyz":
                self._probe(self.server.health.readyz())
            case _:
                self._reply(HTTPStatus.NOT_FOUND, f"expected {_PATHS}\n".encode())

    def _probe(self, trouble: str | None) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
        self._reply(status, f"{trouble or 'ok'}\n".encode())

    def _reply(
        self,
        status: HTTPStatus,
        body: bytes,
        content_type: str = "text/plain; charset=utf-8",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.send_response(status)
        length = {"Content-Type": content_type, "Content-Length": str(len(body))}
        for name, value in {**length, **_NEW_EACH_TIME, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        log.debug(format, *args, extra={"event": "http_request"})


class HttpServer(ThreadingHTTPServer):
    """Serves from a thread of its own until closed. Raises StopError where the port is taken."""

    daemon_threads = True

    def __init__(self, options: ServerOptions, registry: CollectorRegistry, health: Health) -> None:
        self.registry = registry
        self.health = health
        self.status = Status(registry, health)
        self.page = load_page()
        try:
            super().__init__((options.http_host, options.http_port), _Handler)
        except OSError as error:
            raise StopError(
                Exit.PORT,
                f"cannot serve HTTP on {options.http_host}:{options.http_port}: {error.strerror}; set --http-port",
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, name="http", daemon=True)

    def server_bind(self) -> None:
        """Bind without asking the DNS for the host's full name, as the library would: that can take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        """Remember how things stand for the status page; `serve_forever` calls this twice a second."""
        self.status.sample()

    def handle_error(self, _request: object, client_address: object) -> None:
        """Log what ended a request; the library would print a traceback for every client that hangs up."""
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

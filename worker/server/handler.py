"""Answers the requests of one connection, as HTTP/1.1 says (RFC 9110 and 9112)."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import urllib.parse
from http import HTTPMethod, HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from worker.server.exposition import FORMS
from worker.server.negotiation import chosen
from worker.server.reader import RequestReader, TooMuchSent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from worker.observe.health import Health
    from worker.server.connections import Connections
    from worker.status import Page, Status

log = logging.getLogger(__name__)

_PATHS = "/, /status.json, /metrics, /livez or /readyz"
_ALLOWED = ("GET", "HEAD", "OPTIONS")
_TEXT = "text/plain; charset=utf-8"
_NEW_EACH_TIME = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_HEAD_BYTES = 32 * 1024  # of a request line and its headers
_BODY_BYTES = 1024 * 1024  # nobody needs one: what is read of it lets its sender see the answer
_WITHIN_S, _LINGER_S = 10.0, 2.0


class Serving(ThreadingHTTPServer):
    """A server, with what its connections ask of it."""

    registry: CollectorRegistry
    health: Health
    status: Status
    page: Page
    connections: Connections


class Reply(NamedTuple):
    """What is answered."""

    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT
    headers: Mapping[str, str] = MappingProxyType({})


def _said(status: HTTPStatus, text: str, **headers: str) -> Reply:
    return Reply(status, f"{text}\n".encode(), headers=headers)


class Handler(BaseHTTPRequestHandler):
    """One connection: requests are read within `timeout` seconds each, and written within as many."""

    server: Serving
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # what cannot be read is answered with a status, too
    timeout = _WITHIN_S

    def setup(self) -> None:
        """Read within the limits."""
        super().setup()
        self.rfile.close()
        self._reader = RequestReader(self.connection, within_s=_WITHIN_S, most_bytes=_HEAD_BYTES)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Answer the next request, or end the connection."""
        self._reader.begin()
        self.command = self.requestline = self.request_version = ""
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline()
            if self.raw_requestline in {b"\r\n", b"\n"}:  # between two requests
                self.raw_requestline = self.rfile.readline()
            received = bool(self.raw_requestline) and self.parse_request()
        except TooMuchSent:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        except TimeoutError:
            if self._reader.received:
                self.send_error(HTTPStatus.REQUEST_TIMEOUT)
        else:
            if received:
                with self.server.connections.answering(self.connection):
                    self._answer()

    def version_string(self) -> str:
        """Return what the Server header says."""
        return "rerank-worker"

    def handle_expect_100(self) -> bool:
        """Ask for no body: the answer does not depend on it."""
        return True

    def _answer(self) -> None:
        wordy = self._has_body() or "close" in self.headers.get("Connection", "").lower()
        self.close_connection = self.close_connection or wordy
        try:
            reply = self._reply()
        except Exception:
            self.server.handle_error(self.connection, self.client_address)
            reply = _said(HTTPStatus.INTERNAL_SERVER_ERROR, "this could not be answered; the worker's log says why")
        self._send(reply)
        if self._has_body():
            self._linger()

    def _has_body(self) -> bool:
        return self.headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in self.headers

    def _linger(self) -> None:
        """Read the rest, so that the answer is not lost in a reset that unread bytes would cause."""
        rest = RequestReader(self.connection, within_s=_LINGER_S, most_bytes=_BODY_BYTES)
        with contextlib.suppress(OSError, TooMuchSent):
            self.connection.shutdown(socket.SHUT_WR)
            while rest.read(_HEAD_BYTES):
                pass

    def _reply(self) -> Reply:
        if fault := self._fault():
            return _said(HTTPStatus.BAD_REQUEST, fault)
        if self.command not in HTTPMethod.__members__:
            return _said(HTTPStatus.NOT_IMPLEMENTED, f"expected {', '.join(_ALLOWED)}")
        allow = {"Allow": ", ".join(_ALLOWED)}
        path = _path(self.path)
        if self.command == "OPTIONS" and path in {*self._pages, "*"}:
            return Reply(HTTPStatus.OK, b"", headers=allow)
        if path not in self._pages:
            return _said(HTTPStatus.NOT_FOUND, f"expected {_PATHS}")
        if self.command not in _ALLOWED:
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, f"expected {', '.join(_ALLOWED)}, got {self.command}", **allow)
        return self._pages[path](self)

    def _fault(self) -> str | None:
        """Return what is wrong with the request, None where nothing is."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) > 1 or (not hosts and self.request_version != "HTTP/1.0"):
            return f"expected one Host header, got {len(hosts)}"
        lengths = {length.strip() for length in self.headers.get_all("Content-Length", [])}
        if len(lengths) > 1 or not all(length.isascii() and length.isdecimal() for length in lengths):
            return f"expected one number as Content-Length, got {', '.join(sorted(lengths))!r}"
        return None

    def _page(self) -> Reply:
        page = self.server.page
        return Reply(HTTPStatus.OK, page.body, "text/html; charset=utf-8", {"Content-Security-Policy": page.policy})

    def _status(self) -> Reply:
        return Reply(HTTPStatus.OK, self.server.status.as_json(), "application/json")

    def _metrics(self) -> Reply:
        form = chosen(",".join(self.headers.get_all("Accept", [])), FORMS)
        return Reply(HTTPStatus.OK, form.write(self.server.registry), form.content_type, {"Vary": "Accept"})

    def _livez(self) -> Reply:
        return _probe(self.server.health.livez())

    def _readyz(self) -> Reply:
        return _probe(self.server.health.readyz())

    _pages = MappingProxyType(
        {"/": _page, "/status.json": _status, "/metrics": _metrics, "/livez": _livez, "/readyz": _readyz}
    )

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what cannot be read, in one line, and end the connection."""
        del explain  # what the status means in general
        status = HTTPStatus(code)
        self.close_connection = True
        self._send(_said(status, message or status.phrase))
        if status is not HTTPStatus.REQUEST_TIMEOUT:  # then nothing more comes
            self._linger()

    def _send(self, reply: Reply) -> None:
        self.connection.settimeout(_WITHIN_S)  # for all of it
        self.send_response(reply.status)
        headers = {"Content-Type": reply.content_type} if reply.body else {}
        headers["Content-Length"] = str(len(reply.body))
        headers |= {"Connection": "close"} if self.close_connection else {}
        if not self.close_connection and self.request_version == "HTTP/1.0":
            headers["Connection"] = "keep-alive"
        for name, value in {**headers, **_NEW_EACH_TIME, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log at debug: probes come every few seconds."""
        log.debug(format, *args, extra={"event": "http_request"})


def _probe(trouble: str | None) -> Reply:
    return _said(HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK, trouble or "ok")


def _path(target: str) -> str:
    """Return the path of a request's target, which may be a whole URL; empty where that is none."""
    try:
        parts = urllib.parse.urlsplit(target)
    except ValueError:  # a bracket without its pair
        return ""
    return urllib.parse.unquote(parts.path) or ("/" if parts.netloc else "")

"""The HTTP server."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.exits import Exit, StopError
from worker.metrics import Metrics
from worker.pipeline import Pulse
from worker.server import Health, HttpServer, ServerOptions

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def health() -> Health:
    return Health(live_limit_s=60)


class Server(HttpServer):
    """Says when a request has failed."""

    def __init__(self, health: Health) -> None:
        super().__init__(ServerOptions(http_host="127.0.0.1", http_port=0), Metrics(["tombstone"]).registry, health)
        self.failed = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        super().handle_error(request, client_address)
        self.failed.set()


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    server = Server(health)
    server.start()
    yield server
    server.close()


def _get(server: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_are_served_with_every_series_before_the_first_event(server: Server) -> None:
    status, text = _get(server, "/metrics")
    assert status == 200
    samples = {
        (sample.name, tuple(sample.labels.values()))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert ("rerank_events_total", ("reranked", "complete")) in samples
    assert ("rerank_dead_letters_total", ("tombstone",)) in samples
    assert ("rerank_tokens_total", ("padding",)) in samples
    assert ("process_resident_memory_bytes", ()) in samples


def test_a_worker_is_ready_when_nothing_is_missing(server: Server, health: Health) -> None:
    assert _get(server, "/readyz") == (503, "the model is loading\n")
    health.ready_when(lambda: None)
    assert _get(server, "/readyz?verbose") == (200, "ok\n")


def test_a_worker_lives_while_its_threads_advance(server: Server, health: Health) -> None:
    assert _get(server, "/livez") == (200, "ok\n")

    class Stuck(Pulse):
        def age_s(self) -> float:
            return 61.0

    health.watch({"the main loop": Pulse(), "the scorer": Stuck()})
    assert _get(server, "/livez") == (503, "the scorer has not advanced for 61.0 s\n")


def test_an_unknown_path_says_what_there_is(server: Server) -> None:
    assert _get(server, "/") == (404, "expected /metrics, /livez or /readyz\n")


def test_a_port_that_is_taken_is_one_clear_error(server: Server, health: Health) -> None:
    with pytest.raises(
        StopError, match=r"cannot serve HTTP on 127.0.0.1:\d+: Address already in use; set --http-port"
    ) as caught:
        HttpServer(ServerOptions(http_host="127.0.0.1", http_port=server.port), server.registry, health)
    assert caught.value.code is Exit.PORT


def test_a_server_that_never_started_can_be_closed(health: Health) -> None:
    HttpServer(ServerOptions(http_host="127.0.0.1", http_port=0), Metrics([]).registry, health).close()


def test_a_client_that_hangs_up_is_no_news(
    server: Server, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "worker.server")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: worker\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 503")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an orderly end
    assert server.failed.wait(10)
    assert [record.levelname for record in caplog.records if "hung up" in record.message] == ["DEBUG"]
    assert "Traceback" not in caplog.text + capsys.readouterr().err


def test_a_request_that_fails_is_logged_once(
    server: Server, health: Health, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    health.ready_when(broken)
    with pytest.raises(OSError, match="closed connection without response"):
        _get(server, "/readyz")
    assert server.failed.wait(10)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "a request from " in record.message
    assert record.exc_info
    assert capsys.readouterr().err == ""

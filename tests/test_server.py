"""The HTTP server."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.exits import Exit, StopError
from worker.jobs import ModelName, Partition
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
        self.metrics = Metrics(["tombstone"])
        super().__init__(ServerOptions(http_host="127.0.0.1", http_port=0), self.metrics.registry, health)
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
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as reply:
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


def test_the_page_comes_with_its_policy_and_is_never_kept(server: Server) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=60) as reply:
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert (reply.headers["Cache-Control"], reply.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert reply.read().startswith(b"<!doctype html>")


def test_the_status_is_what_the_metrics_say_and_nothing_of_the_options(server: Server) -> None:
    metrics = server.metrics
    metrics.model.name_build("1.2.3", ModelName("a/model", "abc"), "cpu", "float32")
    metrics.events.default_budget.set(0.3)
    metrics.events.published.labels("partial", "no_time").inc(4)
    metrics.events.candidates_received.inc(40)
    metrics.events.candidates_scored.inc(30)
    metrics.partitions.begin([Partition("requests", 1), Partition("requests", 0)])
    metrics.partitions.lag_records.labels("requests", 1).set(7)
    metrics.partitions.lag_seconds.labels("requests", 1).set(1.5)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/status.json", timeout=60) as reply:
        assert (reply.headers["Content-Type"], reply.headers["Cache-Control"]) == ("application/json", "no-store")
        status = json.load(reply)
    assert status.keys() == {
        *("state", "why", "build", "uptime_s", "budget_s", "span_s", "window_s", "points", "paused"),
        *("partitions", "events", "dead_letters", "deadlines", "candidates"),
    }
    assert status["build"] == {
        "version": "1.2.3",
        "model": "a/model",
        "revision": "abc",
        "device": "cpu",
        "dtype": "float32",
    }
    assert (status["state"], status["why"], status["budget_s"]) == ("starting", "the model is loading", 0.3)
    assert {"outcome": "partial", "reason": "no_time", "count": 4} in status["events"]
    assert status["candidates"] == {"received": 40, "scored": 30}
    assert status["partitions"] == [
        {"topic": "requests", "partition": 0, "lag_records": 0, "lag_s": 0},
        {"topic": "requests", "partition": 1, "lag_records": 7, "lag_s": 1.5},
    ]
    assert status["uptime_s"] > 0


def test_the_server_remembers_the_last_minutes_by_itself(server: Server) -> None:
    give_up_s = time.monotonic() + 30
    while len(json.loads(_get(server, "/status.json")[1])["points"]) < 2:
        assert time.monotonic() < give_up_s
        time.sleep(0.1)


def test_a_worker_that_was_ready_is_not_starting_any_more(health: Health) -> None:
    missing: list[str | None] = ["the scorer is warming up"]
    draining: list[bool] = [False]
    health.ready_when(lambda: missing[-1], is_draining=lambda: draining[-1])
    assert health.state() == ("starting", "the scorer is warming up")
    missing.append(None)
    assert health.state() == ("ready", None)
    missing.append("the worker is no member of the consumer group")
    assert health.state() == ("not ready", "the worker is no member of the consumer group")
    draining.append(True)
    assert health.state()[0] == "draining"


def test_an_unknown_path_says_what_there_is(server: Server) -> None:
    assert _get(server, "/nowhere") == (404, "expected /, /status.json, /metrics, /livez or /readyz\n")


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
    assert server.failed.wait(60)
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
    assert server.failed.wait(60)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "a request from " in record.message
    assert record.exc_info
    assert capsys.readouterr().err == ""

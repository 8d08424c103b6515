"""The HTTP server."""

from __future__ import annotations

import errno
import json
import logging
import socket
import struct
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.conftest import Server
from worker.exits import Exit, StopError
from worker.flow.job import ModelName
from worker.flow.stage_threads import Heartbeat
from worker.observe.metrics import Metrics
from worker.records import Partition
from worker.server import HttpServer, ServerOptions

if TYPE_CHECKING:
    from worker.observe.health import Health


def has_ipv6() -> bool:
    """Return whether this machine can talk to itself over IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


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

    class Stuck(Heartbeat):
        def age_s(self) -> float:
            return 61.0

    health.watch({"the main loop": Heartbeat(), "the scorer": Stuck()})
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


def test_an_unknown_path_says_what_there_is(server: Server) -> None:
    assert _get(server, "/nowhere") == (404, "expected /, /status.json, /metrics, /livez or /readyz\n")


def test_a_port_that_is_taken_is_one_clear_error(server: Server, health: Health) -> None:
    with pytest.raises(
        StopError, match=r"cannot serve HTTP on 127.0.0.1:\d+: Address already in use; set --http-port"
    ) as caught:
        HttpServer(ServerOptions(http_host="127.0.0.1", http_port=server.port), server.registry, health)
    assert caught.value.code is Exit.PORT


@pytest.mark.parametrize("host", ["192.0.2.1", "fe80::1%no-such-interface", "a..b", "2001:db8::1"])
def test_an_address_that_this_machine_does_not_have_is_one_clear_error(host: str, health: Health) -> None:
    with pytest.raises(StopError, match=r"cannot serve HTTP on .*; set --http-host$") as caught:
        HttpServer(ServerOptions(http_host=host, http_port=0), Metrics([]).registry, health)
    assert caught.value.code is Exit.PORT


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on the loopback")
@pytest.mark.parametrize("host", ["::", "[::]", ServerOptions().http_host])
def test_all_addresses_are_those_of_ipv6_and_of_ipv4(host: str, health: Health) -> None:
    server = Server(health, host)
    server.start()
    for place in ("[::1]", "127.0.0.1"):
        with urllib.request.urlopen(f"http://{place}:{server.port}/livez", timeout=60) as reply:
            assert (reply.status, reply.read()) == (200, b"ok\n")
    server.close()


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on the loopback")
@pytest.mark.parametrize(
    ("host", "served", "not_served"), [("::1", "::1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1", "::1")]
)
def test_one_family_is_served_where_one_is_asked_for(host: str, served: str, not_served: str, health: Health) -> None:
    server = Server(health, host)
    server.start()
    socket.create_connection((served, server.port), timeout=60).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((not_served, server.port), timeout=60)
    server.close()


def test_where_there_is_no_ipv6_all_addresses_are_those_of_ipv4(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnlyIpv4(socket.socket):
        """A socket of a machine without IPv6."""

        def __init__(self, family: int = -1, *more: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *more)

    monkeypatch.setattr(socket, "socket", OnlyIpv4)
    server = Server(health, "::")
    assert server.server_address[0] == "0.0.0.0"
    server.close()


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


def test_a_request_that_fails_is_answered_and_logged_once(
    server: Server, health: Health, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    health.ready_when(broken)
    assert _get(server, "/readyz") == (500, "this could not be answered; the worker's log says why\n")
    assert server.failed.wait(60)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "a request from " in record.message
    assert record.exc_info
    assert capsys.readouterr().err == ""

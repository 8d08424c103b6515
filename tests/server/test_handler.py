"""How requests are answered, byte by byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import from_openmetrics, until_closed
from worker.server import handler

if TYPE_CHECKING:
    from tests.server.conftest import Client, Server
    from worker.observe.health import Health

PATHS = ("/", "/status.json", "/metrics", "/livez", "/readyz")
END = b"Host: w\r\nConnection: close\r\n\r\n"


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status.startswith("HTTP/1.1 ")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get_and_no_body(client: Client, path: str) -> None:
    asked = split(client.talk(b"HEAD %s HTTP/1.1\r\n" % path.encode() + END))
    got = split(client.talk(b"GET %s HTTP/1.1\r\n" % path.encode() + END))
    assert asked[0] == got[0]
    assert asked[1].keys() == got[1].keys()
    assert asked[1]["Content-Type"] == got[1]["Content-Type"]
    assert (asked[2], len(got[2])) == (b"", int(got[1]["Content-Length"]))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_not_allowed(client: Client, method: str, path: str) -> None:
    status, headers, body = split(client.talk(f"{method} {path} HTTP/1.1\r\n".encode() + END))
    assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert body == f"expected GET, HEAD, OPTIONS, got {method}\n".encode()


@pytest.mark.parametrize("target", ["/metrics", "*"])
def test_options_says_what_is_allowed(client: Client, target: str) -> None:
    status, headers, body = split(client.talk(f"OPTIONS {target} HTTP/1.1\r\n".encode() + END))
    assert (status, headers["Allow"], headers["Content-Length"], body) == (200, "GET, HEAD, OPTIONS", "0", b"")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BREW /livez HTTP/1.1\r\n" + END, 501),
        (b"get /livez HTTP/1.1\r\n" + END, 501),
        (b"POST /nowhere HTTP/1.1\r\n" + END, 404),
        (b"CONNECT livez:1 HTTP/1.1\r\n" + END, 404),
        (b"GET /metrics/ HTTP/1.1\r\n" + END, 404),
        (b"GET http://[/ HTTP/1.1\r\n" + END, 404),
        (b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + END, 400),
        (b"GET /livez HTTP/1.1\r\nContent-Length: x\r\n" + END, 400),
        (b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END, 400),
        (b"GET /livez\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # as TLS begins
        (b"GET /livez HTTP/x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n" + END, 414),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n" + END, 431),
        (b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 200 + END, 431),
        (b"GET /livez HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + END, 200),
        (b"GET http://w/livez?verbose HTTP/1.1\r\n" + END, 200),
        (b"GET //livez HTTP/1.1\r\n" + END, 200),
        (b"GET /%6civez#x HTTP/1.1\r\n" + END, 200),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"\r\nGET /livez HTTP/1.1\r\n" + END, 200),
    ],
)
def test_every_request_has_a_status(client: Client, request_: bytes, status: int) -> None:
    connection = client.connect(request_)
    connection.shutdown(1)  # of what is sent
    assert split(until_closed(connection))[0] == status


@pytest.mark.parametrize(
    ("head", "status"), [(b"GET /" + b"x" * 900_000, 414), (b"GET / HTTP/1.1\r\nX: " + b"x" * 900_000, 431)]
)
def test_what_is_refused_before_all_of_it_came_is_not_answered_with_a_reset(
    client: Client, head: bytes, status: int
) -> None:
    connection = client.connect(head)
    assert split(until_closed(connection))[0] == status
    connection.shutdown(1)  # an error after a reset


def test_requests_share_a_connection(client: Client) -> None:
    answers = client.talk(b"GET /livez HTTP/1.1\r\nHost: w\r\n\r\n" * 3 + b"HEAD /livez HTTP/1.1\r\n" + END)
    assert len(re.findall(rb"HTTP/1.1 200 OK\r\n", answers)) == 4
    assert answers.count(b"Connection: close") == 1


def test_a_client_of_http_1_0_is_told_whether_the_connection_stays(client: Client) -> None:
    kept = client.talk(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + b"GET /livez HTTP/1.0\r\n\r\n")
    assert (kept.count(b"200 OK"), kept.count(b"Connection: keep-alive"), kept.count(b"Connection: close")) == (2, 1, 1)


@pytest.mark.parametrize("length", [b"Content-Length: 22\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_is_no_next_request(client: Client, length: bytes) -> None:
    body = b"GET /status.json HTTP/1.1"
    answer = client.talk(b"GET /livez HTTP/1.1\r\nHost: w\r\n" + length + b"\r\n" + body)
    status, headers, said = split(answer)
    assert (status, headers["Connection"], said) == (200, "close", b"ok\n")


def test_the_sender_of_a_large_body_sees_the_answer(client: Client) -> None:
    size = 500_000
    answer = client.talk(b"POST /metrics HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    assert split(answer)[0] == 405


@pytest.mark.parametrize(
    "accept",
    ["text/plain;version=x", "text/plain;version=1.0.x", "application/openmetrics-text;version=x", "x/y;version=\xe9"],
)
def test_a_version_that_is_none_is_answered_with_the_plain_form(client: Client, accept: str) -> None:
    status, headers, body = split(client.talk(f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n".encode("latin-1") + END))
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert headers["Vary"] == "Accept"
    assert b"rerank_events_total" in body


def test_openmetrics_is_what_its_content_type_says(client: Client) -> None:
    lines = b"Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text;version=1.0.0\r\n"
    _, headers, body = split(client.talk(b"GET /metrics HTTP/1.1\r\n" + lines + END))
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert from_openmetrics(body)


def test_a_probe_that_fails_says_so_to_head_too(client: Client, health: Health) -> None:
    assert health.readyz()
    assert split(client.talk(b"HEAD /readyz HTTP/1.1\r\n" + END))[::2] == (503, b"")


def test_a_client_that_says_nothing_or_not_enough_is_let_go(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_WITHIN_S", 0.5)
    assert client.talk(b"") == b""
    assert split(client.talk(b"GET /livez HT"))[0] == 408
    assert split(client.talk(b"GET /livez HTTP/1.1\r\nHost: w\r\n"))[0] == 408
    assert not server.failed.is_set()

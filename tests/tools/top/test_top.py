"""`rerank-worker top` over live workers, and over what is none."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import Line, event
from tests.tools.conftest import command, environment, rerank_worker
from worker.exits import Exit
from worker.tools.local.children import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIGHT = "tests.integration.light_worker"


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of a server that is no worker."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello {\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def cells(printed: str, first: str) -> list[str]:
    """Return the cells of the first row that begins so."""
    row = next(row for row in printed.splitlines() if row.startswith(first))
    return re.split(r"\s{2,}", row.strip())


@pytest.mark.broker
def test_one_look_shows_each_worker_their_sum_the_partitions_and_the_outcomes(line: Line) -> None:
    workers = [line.start(module=LIGHT), line.start(module=LIGHT)]
    for worker in workers:
        worker.until("it has a partition", lambda: workers[0].metric("rerank_partitions_assigned") == 1)
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 5
            line.publish([*(event(number + more) for more in range(5)), b"{"])

    publisher = threading.Thread(target=load)
    publisher.start()
    names = [f"127.0.0.1:{worker.port}" for worker in workers]
    try:
        for worker in workers:
            worker.until("it works", lambda: sum(each.metric("rerank_events_total") > 0 for each in workers) == 2)
        ran = rerank_worker(None, "top", *names, "--once", "--interval", "3")
    finally:
        stop.set()
        publisher.join()
    assert (ran.returncode, ran.stderr) == (0, "")
    columns = cells(ran.stdout, "worker")
    rows = [dict(zip(columns, cells(ran.stdout, first), strict=False)) for first in (*names, "all")]
    assert [row["state"] for row in rows] == ["ready", "ready", "2 of 2 ready"]
    rates = [float(row["events/s"].replace(",", "")) for row in rows]
    assert min(rates) > 0
    assert rates[2] == pytest.approx(rates[0] + rates[1], abs=0.2)
    assert all(re.fullmatch(r"[\d.]+ m?s", row["p99"]) for row in rows)
    assert [row["scored"] for row in rows] == ["100%"] * 3
    assert {cells(ran.stdout, line.requests)[0], *cells(ran.stdout, "dead letter")[:2]} == {
        *(line.requests, "dead letter", "not_json"),
    }
    assert cells(ran.stdout, "reranked")[1] == "complete"
    assert "\x1b" not in ran.stdout


@pytest.mark.broker
def test_a_worker_that_does_not_answer_is_shown_so_and_the_others_go_on(line: Line, stranger: str) -> None:
    worker = line.start(module=LIGHT)
    nobody, ready = f"127.0.0.1:{free_port()}", f"127.0.0.1:{worker.port}"
    ran = rerank_worker(None, "top", nobody, stranger, ready, "--once", "--interval", "0.5")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert cells(ran.stdout, nobody)[1] == "unreachable: Connection refused"
    assert cells(ran.stdout, stranger)[1] == "answers, but is no worker"
    assert cells(ran.stdout, ready)[1] == "ready"
    assert cells(ran.stdout, "all")[1] == "1 of 3 ready"


def test_where_no_worker_answers_the_one_look_fails(stranger: str) -> None:
    ran = rerank_worker(None, "top", f"127.0.0.1:{free_port()}", stranger, "--once", "--interval", "0.1")
    assert ran.returncode == Exit.UNREACHABLE
    assert "unreachable: Connection refused" in ran.stdout
    assert "no worker answers" in ran.stderr


@pytest.mark.broker
def test_on_a_terminal_it_goes_on_until_ctrl_c_and_sees_a_worker_end(line: Line) -> None:
    worker = line.start(module=LIGHT)
    ours, theirs = pty.openpty()
    words = ("top", f"http://127.0.0.1:{worker.port}", "--interval", "0.3")
    with subprocess.Popen(
        command(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm", COLUMNS="160")
    ) as process:
        os.close(theirs)
        _read_until(ours, lambda seen: "ready" in seen and line.requests in seen)
        assert worker.stop() == 0
        _read_until(ours, lambda seen: "unreachable: Connection refused" in seen)
        process.send_signal(signal.SIGINT)
        _read_until(ours, lambda seen: "\x1b[?25h" in seen)  # the cursor is back
        assert process.wait(60) == 0
    os.close(ours)


def test_in_a_pipe_each_look_is_printed_and_a_reader_that_has_seen_enough_ends_it() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        command("top", nobody, "--interval", "0.1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        seen = [process.stdout.readline().decode() for _ in range(12)]
        assert sum(nobody in line for line in seen) > 1
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ftp://worker"], "URL: expected the address of a worker, such as http://127.0.0.1:9464, got 'ftp://worker'"),
        (["worker:9464", "--interval", "0"], "--interval: expected 0.1 to 3600 seconds, got 0"),
        (["worker:9464", "--interval", "nan"], "--interval: expected 0.1 to 3600 seconds, got nan"),
        ([], "Missing argument 'URL...'. (see python -m worker top --help)"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words: list[str], said: str) -> None:
    ran = rerank_worker(None, "top", *words)
    assert (ran.returncode, ran.stdout) == (Exit.USAGE, "")
    assert ran.stderr == f"rerank-worker: {said}\n"


def _read_until(terminal: int, holds: Callable[[str], bool]) -> None:
    seen = ""
    while not holds(seen):
        seen += os.read(terminal, 65_536).decode(errors="replace")

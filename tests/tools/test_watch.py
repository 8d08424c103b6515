"""`rerank-worker watch`: results as tables or JSON lines, dead letters beside them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer

from tests.tools.conftest import command, environment, rerank_worker
from worker.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.line import Line

pytestmark = pytest.mark.broker

DEAD_LETTER = {
    "dlq.original-topic": "shop",
    "dlq.original-partition": "1",
    "dlq.original-offset": "7",
    "dlq.original-timestamp": "1",
    "dlq.consumer-group": "g",
    "dlq.stage": "decode",
    "dlq.reason": "schema",
    "dlq.error-class": "InvalidEvent",
    "dlq.error-message": "candidates: expected 1 to 1000, got 0",
    "dlq.attempts": "1",
    "dlq.first-failure-time": "2026-11-22T00:00:00.125Z",
    "dlq.worker-version": "0.1.0",
    "dlq.schema-version": "1",
}


def result(number: int) -> dict[str, Any]:
    rows = [("b", 2), ("a", 1), ("c", 3)]
    return {
        "request_id": f"r{number}",
        "query": "oak [shelf]",
        "outcome": "reranked",
        "reason": "complete",
        "ranking": [
            {"id": name, "rank": rank, "score": 1 / (rank + 1), "logit": -float(rank), "previous_rank": before}
            for rank, (name, before) in enumerate(rows, start=1)
        ],
        "model": {"id": "m", "revision": "1"},
        "timing_ms": {"total": 12.5},
        "deadline_met": number != 2,
        "truncated": 0,
        "source": {"topic": "shop", "partition": 0, "offset": number},
        "metadata": None,
    }


class Outlet:
    """What a worker would publish."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._producer = KafkaProducer(bootstrap_servers=line.broker)

    def results(self, *values: bytes) -> None:
        for value in values:
            self._producer.send(self._line.results, value, partition=0)
        self._producer.flush(10)

    def dead_letter(self, key: bytes = b"r9", **more: str) -> None:
        headers = [(name, text.encode()) for name, text in (DEAD_LETTER | more).items()]
        self._producer.send(self._line.dead_letters, b"{}", key, headers=headers)
        self._producer.flush(10)

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def outlet(line: Line) -> Iterator[Outlet]:
    outlet = Outlet(line)
    yield outlet
    outlet.close()


def encoded(*numbers: int) -> list[bytes]:
    return [json.dumps(result(number)).encode() for number in numbers]


def test_results_are_json_lines_where_nobody_looks(line: Line, outlet: Outlet) -> None:
    outlet.results(*encoded(1, 2, 3))
    ran = rerank_worker(line, "watch", "--from-beginning", "--count", "2")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [json.loads(each) for each in ran.stdout.splitlines()] == [result(1), result(2)]


def test_a_result_that_was_written_over_several_lines_is_one_line(line: Line, outlet: Outlet) -> None:
    outlet.results(json.dumps(result(1), indent=2).encode())
    ran = rerank_worker(line, "watch", "--from-beginning", "--count", "1")
    assert json.loads(ran.stdout) == result(1)
    assert ran.stdout.count("\n") == 1


def test_a_table_shows_the_top_of_each_list_and_how_it_moved(line: Line, outlet: Outlet) -> None:
    outlet.results(*encoded(1, 2))
    ran = rerank_worker(line, "watch", "--from-beginning", "--count", "2", "--format", "table", "--top", "2")
    assert [" ".join(each.split()) for each in ran.stdout.splitlines() if each.strip()] == [
        "oak [shelf] reranked · 12.5 ms · 3 candidates · r1",
        "1 ↑1 b 0.5000",
        "2 ↓1 a 0.3333",
        "oak [shelf] reranked · 12.5 ms · late · 3 candidates · r2",
        "1 ↑1 b 0.5000",
        "2 ↓1 a 0.3333",
    ]
    assert "\x1b" not in ran.stdout


def test_text_of_others_steers_no_terminal_and_one_that_is_not_utf8_shows_what_it_can(
    line: Line, outlet: Outlet
) -> None:
    steering = "\x1b]0;owned\x07\x9b2J\u202e\n"
    hostile = {**result(1), "query": f"Bohrmaschine ✓ 電動{steering}", "request_id": f"r1{steering}"}
    hostile["ranking"][0]["id"] = f"b…{steering}"
    outlet.results(json.dumps(hostile).encode(), json.dumps(hostile, ensure_ascii=False).encode())
    outlet.dead_letter(
        key=steering.encode(), **{"dlq.error-message": f"got '{steering}'", "dlq.original-topic": "\x1b"}
    )
    for style, encoding in (("table", "latin-1"), ("table", "utf-8"), ("json", "latin-1")):
        ran = subprocess.run(
            command("watch", "--from-beginning", "--count", "3", "--format", style),
            env=environment(line, PYTHONIOENCODING=encoding),
            capture_output=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        shown = ran.stdout.decode("utf-8" if style == "json" else encoding)
        assert all(each.isprintable() or each == "\n" for each in shown + ran.stderr.decode(encoding)), shown
        if style == "json":
            assert [json.loads(each) for each in shown.splitlines()] == [hostile] * 2
        else:
            assert shown.count("Bohrmaschine " + ("✓ 電動" if encoding == "utf-8" else "+ ????")) == 2


def test_a_dead_letter_is_a_line_on_standard_error(line: Line, outlet: Outlet) -> None:
    outlet.dead_letter()
    outlet.dead_letter(key=b"k" * 100_000)
    ran = rerank_worker(line, "watch", "--from-beginning", "--count", "2")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.splitlines() == [
        f"dead letter: shop[1] offset 7, '{key}': schema: candidates: expected 1 to 1000, got 0"
        for key in ("r9", "k" * 100 + "…")
    ]


def test_what_is_no_result_is_named_and_skipped(line: Line, outlet: Outlet) -> None:
    outlet.results(b"{", json.dumps({**result(1), "ranking": []}).encode(), *encoded(2))
    ran = rerank_worker(line, "watch", "--from-beginning", "--count", "3")
    assert json.loads(ran.stdout) == result(2)
    first, second = ran.stderr.splitlines()
    assert first.startswith(f"skipped: {line.results}[0] offset 0 is not a result: expected JSON")
    assert second == f"skipped: {line.results}[0] offset 1 is not a result: ranking: expected 1 to 1000, got 0"


def test_on_a_terminal_it_starts_with_what_is_new_and_ctrl_c_ends_it_cleanly(line: Line, outlet: Outlet) -> None:
    outlet.results(*encoded(1))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("watch"), stdin=theirs, stdout=theirs, stderr=theirs, env=environment(line, TERM="xterm", COLUMNS="100")
    ) as process:
        os.close(theirs)
        seen = _read_until(ours, "watching")
        outlet.results(*encoded(2))
        seen += _read_until(ours, "c  ")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    os.close(ours)
    assert "· r2" in seen
    assert "· r1" not in seen


def test_a_reader_that_has_seen_enough_ends_it_without_an_error(line: Line, outlet: Outlet) -> None:
    with subprocess.Popen(
        command("watch"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(line)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        while process.poll() is None:  # a result each time, until one meets the closed pipe
            outlet.results(*encoded(1))
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        assert (process.returncode, process.stderr.read()) == (0, b"")


def test_a_missing_topic_is_one_clear_line(line: Line) -> None:
    ran = rerank_worker(line, "watch", "--result-topic", "nowhere-to-be-found")
    assert ran.returncode == Exit.TOPIC
    assert ran.stderr.startswith(f"rerank-worker: {line.broker}: topic nowhere-to-be-found does not exist")
    assert ran.stderr.count("\n") == 1


def _read_until(terminal: int, words: str) -> str:
    seen = ""
    while words not in seen:
        seen += os.read(terminal, 65_536).decode()
    return seen

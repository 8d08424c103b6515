"""`rerank-worker dead-letters`: what the topic holds now, as a table, as JSON lines, counted, or one of it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from tests.tools.conftest import command, environment, rerank_worker
from tests.tools.dead_letters.making import a_letter
from worker.exits import Exit

if TYPE_CHECKING:
    from tests.integration.line import Line
    from tests.tools.dead_letters.making import Pen

pytestmark = pytest.mark.broker


def test_dead_letters_are_json_lines_where_nobody_looks_and_it_ends_with_the_topic(line: Line, pen: Pen) -> None:
    pen.write(1, 2)
    pen.write(3, reason="model")
    ran = rerank_worker(line, "dead-letters")
    assert (ran.returncode, ran.stderr) == (0, "")
    found = [json.loads(each) for each in ran.stdout.splitlines()]
    assert [(each["letter"]["offset"], each["request_id"], each["reason"]) for each in found] == [
        (0, "r1", "schema"),
        (1, "r2", "schema"),
        (2, "r3", "model"),
    ]


def test_a_table_has_a_row_for_each_that_is_chosen(line: Line, pen: Pen) -> None:
    pen.write(1, 2)
    pen.write(3, reason="model")
    words = ("--format", "table", "--reason", "schema", "--since", "1h", "--offsets", "1-2", "--partition", "0")
    ran = rerank_worker(line, "dead-letters", *words)
    assert ran.returncode == 0, ran.stderr
    assert [word for word in ran.stdout.split() if word in {"r1", "r2", "r3", "0:0", "0:1", "0:2"}] == ["0:1", "r2"]


def test_a_terminal_that_is_not_utf8_shows_what_it_can(line: Line, pen: Pen) -> None:
    pen.write(1, value='{"request_id": "電動 ✓ é", "query": ""}'.encode())
    for words in (("--format", "table"), ("--format", "table", "--show", "0:0")):
        shown = subprocess.run(
            command("dead-letters", *words),
            env=environment(line, PYTHONIOENCODING="latin-1", COLUMNS="200"),
            capture_output=True,
            check=True,
        )
        assert "???? + é" in shown.stdout.decode("latin-1")


def test_they_are_counted_by_reason(line: Line, pen: Pen) -> None:
    pen.write(1, 2)
    pen.write(3, reason="model")
    assert json.loads(rerank_worker(line, "dead-letters", "--count").stdout) == {"schema": 2, "model": 1}
    table = rerank_worker(line, "dead-letters", "--count", "--format", "table").stdout
    assert [row.split() for row in table.splitlines()][1:] == [["schema", "2"], ["model", "1"]]


def test_one_is_shown_as_a_whole(line: Line, pen: Pen) -> None:
    pen.write(1)
    pen.write(2, value=b"\xff\x00")
    shown = rerank_worker(line, "dead-letters", "--show", "0:1", "--format", "table").stdout
    assert shown.startswith(f"{line.dead_letters} partition 0 offset 1, written ")
    assert f"header   dlq.original-topic: {line.requests}\n" in shown
    assert shown.endswith("00000000  ff 00                                            ..\n")
    ran = rerank_worker(line, "dead-letters", "--show", "0:2")
    assert (ran.returncode, ran.stdout) == (Exit.USAGE, "")
    assert ran.stderr == f"rerank-worker: --show: topic {line.dead_letters} partition 0 has no offset 2\n"


def test_what_is_no_dead_letter_is_named_and_skipped(line: Line, pen: Pen) -> None:
    pen.write_raw(b"{}", [("dlq.reason", b"\xff")])
    pen.write(1)
    ran = rerank_worker(line, "dead-letters", "--count")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"schema": 1})
    assert ran.stderr.startswith(f"skipped: {line.dead_letters}[0] offset 0 is not a dead letter: header dlq.")


def test_an_empty_topic_and_a_missing_one_are_a_line_each(line: Line) -> None:
    ran = rerank_worker(line, "dead-letters")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == f"{line.dead_letters}: no dead letters, or none that was chosen\n"
    ran = rerank_worker(line, "dead-letters", "--dead-letter-topic", "nowhere-to-be-found")
    assert ran.returncode == Exit.TOPIC
    assert ran.stderr.startswith(f"rerank-worker: {line.broker}: topic nowhere-to-be-found does not exist")
    assert ran.stderr.count("\n") == 1


@pytest.mark.apache  # the embedded broker shows aborted records
def test_dead_letters_of_an_aborted_transaction_are_not_there_and_it_ends_behind_them(line: Line) -> None:
    letter = a_letter(1)
    with KafkaProducer(bootstrap_servers=line.broker, transactional_id=line.group, retry_backoff_ms=5) as producer:
        producer.init_transactions()
        for ends in (producer.commit_transaction, producer.abort_transaction, producer.abort_transaction):
            producer.begin_transaction()
            producer.send(line.dead_letters, letter.value, letter.key, letter.headers)
            producer.flush(60)
            ends()
    ran = rerank_worker(line, "dead-letters")
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(each)["letter"]["offset"] for each in ran.stdout.splitlines()] == [0]

"""`rerank-worker publish`: all of a file or nothing of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import event
from tests.tools.conftest import rerank_worker
from worker.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.line import Line


pytestmark = pytest.mark.broker


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to fill."""
    return tmp_path / "events.jsonl"


def lines(*numbers: int) -> str:
    return "".join(json.dumps(event(number)) + "\n" for number in numbers)


def test_the_events_of_a_file_are_published_under_their_request_ids(line: Line, file: Path) -> None:
    file.write_text(lines(1, 2, 3))
    ran = rerank_worker(line, "publish", str(file))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"published 3 events to {line.requests}\n", "")
    found = {record.key: json.loads(record.value) for record in line.read(line.requests, 3)}
    assert found == {f"r{number}".encode(): event(number) for number in (1, 2, 3)}


def test_events_come_from_standard_input_too(line: Line) -> None:
    ran = rerank_worker(line, "publish", "-", stdin=lines(1))
    assert (ran.returncode, ran.stdout) == (0, f"published 1 event to {line.requests}\n")
    assert line.count(line.requests) == 1


def test_nothing_is_published_of_a_file_with_a_bad_line(line: Line, file: Path) -> None:
    file.write_text(lines(1) + "nonsense\n")
    ran = rerank_worker(line, "publish", str(file))
    assert ran.returncode == Exit.USAGE
    assert "line 2: event: expected JSON" in ran.stderr
    assert line.count(line.requests) == 0


def test_an_event_larger_than_the_topic_takes_is_named_by_its_line(line: Line, file: Path) -> None:
    file.write_text(lines(1) + json.dumps({**event(2), "metadata": "x" * 2_000}) + "\n")
    ran = rerank_worker(line, "publish", str(file), "--max-record-bytes", "1500")
    assert ran.returncode == Exit.DELIVERY
    assert f"1 of 2 events are in {line.requests}; 1 failed, the first in line 2: RecordTooLarge" in ran.stderr


def test_a_missing_topic_is_an_error_unless_it_shall_be_made(line: Line, file: Path) -> None:
    file.write_text(lines(1))
    missing = f"{line.requests}-missing"
    ran = rerank_worker(line, "publish", str(file), "--request-topic", missing)
    assert ran.returncode == Exit.TOPIC
    assert missing in ran.stderr
    ran = rerank_worker(line, "publish", str(file), "--request-topic", missing, "--create-topics")
    assert ran.returncode == 0, ran.stderr


def test_a_rate_spreads_the_events_over_time(line: Line, file: Path) -> None:
    file.write_text(lines(1, 2, 3, 4, 5))
    rerank_worker(line, "publish", str(file), "--rate", "20")
    times = sorted(record.timestamp for record in line.read(line.requests, 5))
    assert times[-1] - times[0] >= 4 * 1000 / 20 - 2  # never sooner; how much later is the machine's business
    assert times[0] <= time.time() * 1000

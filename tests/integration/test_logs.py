"""What a worker says in a flood of bad events, as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.line import Line, Worker

pytestmark = pytest.mark.broker


def _said(worker: Worker) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, worker.log.read_text().splitlines()) if "event" in line]


def _left_out(worker: Worker) -> int:
    return sum(line.get("left_out", 0) for line in _said(worker) if line["event"] == "dead_letter")


def test_a_flood_of_dead_letters_can_be_read_and_says_how_many_lines_it_left_out(line: Line) -> None:
    count = 2000
    light = "tests.integration.light_worker"
    worker = line.start(module=light, log_format="json", dead_letters_in_a_row=0, dead_letter_ratio=1)
    line.publish([b"{"] * count)
    worker.until("all are counted", lambda: worker.metric("rerank_dead_letters_total") == count)
    worker.until("a later line has the count", lambda: bool(line.publish([None])) and _left_out(worker) > count / 2)
    assert worker.stop(grace_s=40) == 0
    said = _said(worker)
    letters = [each for each in said if each["event"] == "dead_letter"]
    assert 10 <= len(letters) < count / 10
    assert {"topic": line.requests, "reason": "not_json", "stage": "decode"}.items() <= letters[0].items()
    assert len(letters) + _left_out(worker) <= line.count(line.dead_letters)
    assert [each["event"] for each in said][-2:] == ["stopping", "stopped"]

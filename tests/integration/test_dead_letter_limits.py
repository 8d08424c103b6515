"""A flood of bad events stops the worker, rather than empty the topic into the dead letters."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from worker.exits import Exit

if TYPE_CHECKING:
    from tests.integration.line import Line

pytestmark = pytest.mark.broker


def test_a_flood_of_bad_events_stops_the_worker_which_commits_no_further_than_it_published(line: Line) -> None:
    count = 20_000
    line.publish(b"{" for _ in range(count))
    worker = line.start(wait=False, dead_letters_in_a_row=50, commit_interval_s=60)
    assert worker.wait(120) == Exit.DEAD_LETTERS
    assert (
        "rerank-worker: 50 events in a row became dead letters (--dead-letters-in-a-row), most often for the reason "
        "not_json (50); nothing is committed that was not published"
    ) in worker.tail().splitlines()[-1]
    published: dict[int, set[int]] = defaultdict(set)
    for letter in line.read(line.dead_letters, 50):
        headers = dict(letter.headers)
        published[int(headers["dlq.original-partition"])].add(int(headers["dlq.original-offset"]))
    assert sum(map(len, published.values())) < count
    committed = {partition: offset or 0 for partition, offset in line.committed().items()}
    assert sum(committed.values()) >= 50
    for partition, offset in committed.items():
        assert published[partition] >= set(range(offset))

"""A worker that is killed and comes straight back: nobody waits for the dead one, and little is done twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import Line, Worker, event, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.apache, pytest.mark.broker]

COMMIT_S = 1.0
PAUSE_S = 0.02  # between two requests


def _paced(first: int, count: int) -> Iterator[dict[str, Any]]:
    for number in range(first, first + count):
        yield event(number, candidates=3)
        time.sleep(PAUSE_S)


def test_nobody_waits_for_the_dead_worker_and_only_what_it_had_not_committed_is_done_again(line: Line) -> None:
    """With a session of 300 s: the test's own time limit shows that nobody waits for it to end."""

    def start() -> Worker:
        options: dict[str, Any] = {"session_timeout_s": 300, "max_poll_interval_s": 300, "commit_interval_s": COMMIT_S}
        return line.start(module="tests.integration.light_worker", **options)

    stays, dies = start(), start()
    stays.until("each has its share", lambda: stays.metric("rerank_partitions_assigned") < 3)
    dies.until("each has its share", lambda: dies.metric("rerank_partitions_assigned") > 0)
    share = dies.metric("rerank_partitions_assigned")
    sent = line.publish(_paced(0, 150))
    dies.until("it has committed", lambda: dies.metric("rerank_commits_total", result="ok") > 0)
    killed_ms = time.time() * 1000
    dies.kill()
    back = start()
    back.until("it has its share", lambda: back.metric("rerank_partitions_assigned") == share)
    sent += line.publish(_paced(150, 50))
    found = sources(line.read(line.results, len(sent)))
    assert found.keys() == set(sent)
    again = {source for source, count in found.items() if count > 1}
    assert stays.metric("rerank_rebalances_total", kind="lost") == 0
    times = _timestamps(line)
    late = {source for source in again if not killed_ms - 2 * COMMIT_S * 1000 <= times[source] <= killed_ms}
    assert late == set()
    assert "from the group: its process has ended" in back.log.read_text()


def _timestamps(line: Line) -> dict[tuple[int, int], int]:
    return {(record.partition, record.offset): record.timestamp for record in line.read(line.requests, 200)}

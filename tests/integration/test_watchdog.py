"""A worker in which something stops advancing ends, says what, and loses nothing; one that was paused goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import event, sources, wait_until
from worker.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.line import Line

pytestmark = pytest.mark.broker


def _stick(line: Line, fault: str, **options: Any) -> tuple[int | None, list[str], Sequence[tuple[int, int]]]:
    """Let a worker get stuck in the midst of its work; return its status, what it said, and what was published."""
    when = line.folder / "stuck now"
    environment = {"STUCK_WORKER": fault, "STUCK_WORKER_WHEN": str(when)}
    worker = line.start(module="tests.integration.stuck_worker", environment=environment, stuck_limit_s=2, **options)
    sent = line.publish(event(number, candidates=3) for number in range(200))
    worker.until("some are done", lambda: worker.metric("rerank_events_total") > 20)
    when.touch()
    sent += line.publish(event(number, candidates=3) for number in range(200, 400))
    status = worker.wait(120)
    return status, worker.log.read_text().splitlines(), sent


@pytest.mark.parametrize(
    ("fault", "status", "what", "where"),
    [
        ("poll", Exit.STUCK_POLL, "the main loop has not gone round", "in spin"),
        ("model", Exit.STUCK_SCORER, "the scorer has not gone round", "in hang"),
        ("send", Exit.STUCK_PUBLISHER, "the publisher has not gone round", "in hang"),
        ("commit", Exit.STUCK_COMMIT, "nothing could be committed", "in run"),
    ],
)
def test_what_stops_advancing_ends_the_worker_with_its_status_and_another_one_loses_nothing(
    line: Line, fault: str, status: Exit, what: str, where: str
) -> None:
    ended, said, sent = _stick(line, fault, delivery_timeout_s=4)
    assert ended == status, "\n".join(said)
    assert said[-1].startswith(f"rerank-worker: {what} for ")
    assert [line for line in said if "CRITICAL" in line and what in line]
    assert [line for line in said if where in line], "\n".join(said)
    assert [line for line in said if line.startswith("Thread 0x") and line.endswith(" is score-0")]
    line.start(module="tests.integration.light_worker")
    wait_until("all have a result", lambda: sources(line.read(line.results, 1)).keys() == set(sent))


def test_a_producer_thread_that_stands_still_fails_livez_shows_in_a_metric_and_ends_the_worker(line: Line) -> None:
    when = line.folder / "stuck now"
    worker = line.start(
        module="tests.integration.stuck_worker",
        environment={"STUCK_WORKER": "producer", "STUCK_WORKER_WHEN": str(when)},
        delivery_timeout_s=1,
        live_limit_s=1,
        stuck_limit_s=10,
    )
    line.publish(event(number, candidates=3) for number in range(20))
    worker.until("all are done", lambda: worker.metric("rerank_events_total") == 20)
    assert worker.metric("rerank_outcome_age_seconds") == 0
    when.touch()
    line.publish(event(number, candidates=3) for number in range(20, 40))
    worker.until("/livez fails", lambda: worker.get("/livez")[0] == 503)
    assert worker.get("/livez")[1].startswith("an outcome has not been acknowledged for ")
    assert worker.metric("rerank_outcome_age_seconds") > 6
    assert worker.wait(120) == Exit.STUCK_PUBLISHER
    last = worker.log.read_text().splitlines()[-1]
    assert last.startswith("rerank-worker: an outcome has not been acknowledged for ")


@pytest.mark.apache
def test_a_transaction_that_never_ends_is_undone_by_the_next_worker(line: Line) -> None:
    options: dict[str, Any] = {"delivery": "exactly-once", "transactional_id": line.group, "transaction_timeout_s": 2}
    ended, said, sent = _stick(line, "transaction", **options)
    assert ended == Exit.STUCK_PUBLISHER, "\n".join(said)
    assert said[-1].startswith("rerank-worker: the publisher has not gone round for ")
    line.start(module="tests.integration.light_worker", **options)
    results = line.read(line.results, len(sent), isolation_level="read_committed")
    assert sources(results) == dict.fromkeys(sent, 1)


def test_a_worker_that_was_paused_for_longer_than_the_limit_goes_on(line: Line) -> None:
    worker = line.start(module="tests.integration.light_worker", stuck_limit_s=3, session_timeout_s=30)
    sent = line.publish(event(number, candidates=3) for number in range(300))
    worker.until("some are done", lambda: worker.metric("rerank_events_total") > 20)
    worker.pause()
    time.sleep(5)  # the pause itself is what is tested
    worker.resume()
    sent += line.publish(event(number, candidates=3) for number in range(300, 600))
    assert sources(line.read(line.results, len(sent))) == dict.fromkeys(sent, 1)
    worker.until("all are settled", lambda: worker.metric("rerank_in_flight_tokens") == 0)
    assert worker.stop(grace_s=40) == 0, worker.tail()

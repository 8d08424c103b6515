"""Workers with a name of their own in the group: a restart moves no partition, and no two have one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import Line, Worker, event, sources
from worker.exits import Exit

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

pytestmark = [pytest.mark.apache, pytest.mark.broker]


def _start(line: Line, name: str, **options: Any) -> Worker:
    stays = {"on_stop": "stay", "session_timeout_s": 60}
    given = {"group_instance_id": name, **stays, "max_in_flight_tokens": 20_000, **options}
    return line.start(module="tests.integration.light_worker", **given)


@pytest.mark.parametrize("end", [Worker.stop, Worker.kill])
def test_a_worker_that_is_restarted_under_load_goes_on_with_its_partitions_and_the_other_is_not_disturbed(
    line: Line, end: Callable[[Worker], int | None]
) -> None:
    stays, goes = _start(line, "a"), _start(line, "b")
    goes.until("each has its share", lambda: goes.metric("rerank_partitions_assigned") > 0)
    stays.until("each has its share", lambda: stays.metric("rerank_partitions_assigned") < 3)
    shares = [worker.metric("rerank_partitions_assigned") for worker in (stays, goes)]
    rebalances = stays.metric("rerank_rebalances_total")
    sent = line.publish(event(number, candidates=3) for number in range(800))
    goes.until("some are done", lambda: goes.metric("rerank_events_total") > 10)
    end(goes)
    goes = _start(line, "b")
    goes.until("it has its share", lambda: goes.metric("rerank_partitions_assigned") == shares[1])
    goes.until("all are done", lambda: sources(line.read(line.results, 1)).keys() == set(sent))
    assert stays.metric("rerank_rebalances_total") == rebalances
    assert stays.metric("rerank_partitions_assigned") == shares[0]


def test_a_worker_that_is_asked_to_stop_hands_over_with_its_transaction_and_has_its_share_when_it_is_back(
    line: Line,
) -> None:
    """With a session of 300 s: the test's own time limit shows that nobody waits for it to end."""

    def start(name: str) -> Worker:
        ids = {"transactional_id": f"{line.group}-{name}", "delivery": "exactly-once"}
        return _start(line, name, on_stop="leave", session_timeout_s=300, **ids)

    def found() -> Counter[tuple[int, int]]:
        return sources(line.read(line.results, len(sent), isolation_level="read_committed"))

    stays, goes = start("a"), start("b")
    goes.until("each has its share", lambda: goes.metric("rerank_partitions_assigned") > 0)
    stays.until("each has its share", lambda: stays.metric("rerank_partitions_assigned") < 3)
    sent = line.publish(event(number, candidates=3) for number in range(300))
    goes.until("some are done", lambda: goes.metric("rerank_events_total") > 10)
    assert goes.stop() == 0
    stays.until("it has all", lambda: stays.metric("rerank_partitions_assigned") == 3)
    assert found() == dict.fromkeys(sent, 1)
    goes = start("b")
    goes.until("it has a share again", lambda: goes.metric("rerank_partitions_assigned") > 0)
    sent += line.publish(event(number, candidates=3) for number in range(300, 400))
    assert found() == dict.fromkeys(sent, 1)
    assert stays.metric("rerank_rebalances_total", kind="revoked") == 2  # when each of the two joined


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_second_worker_with_the_same_name_ends_the_first_which_says_why(line: Line, delivery: str) -> None:
    first = _start(line, "same", delivery=delivery, transactional_id=f"{line.group}-1")
    sent = line.publish(event(number, candidates=3) for number in range(300))
    first.until("some are done", lambda: first.metric("rerank_events_total") > 10)
    second = _start(line, "same", delivery=delivery, transactional_id=f"{line.group}-2")
    assert first.wait(120) == Exit.FENCED
    assert first.tail().splitlines()[-1] == (
        f"rerank-worker: group instance id same was taken: another process has joined group {line.group} with it (each "
        "replica needs its own, see --group-instance-id); what was not committed is that one's to do"
    )
    sent += line.publish(event(number, candidates=3) for number in range(300, 400))
    second.until(
        "all have a result",
        lambda: sources(line.read(line.results, 1, isolation_level="read_committed")).keys() == set(sent),
    )
    if delivery == "exactly-once":
        found = sources(line.read(line.results, len(sent), isolation_level="read_committed"))
        assert found == dict.fromkeys(sent, 1)

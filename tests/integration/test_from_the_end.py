"""Workers of a group that begins at the end, which lose nothing that comes after they have begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import event, sources

if TYPE_CHECKING:
    from tests.integration.line import Line

pytestmark = [pytest.mark.apache, pytest.mark.broker]


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_requests_that_come_while_a_group_from_the_end_is_away_are_ranked_though_it_had_done_nothing(
    line: Line, delivery: str
) -> None:
    options: dict[str, Any] = {"auto_offset_reset": "latest", "delivery": delivery, "transactional_id": line.group}
    line.publish(event(number, candidates=2) for number in range(5))
    first = line.start(module="tests.integration.light_worker", **options)
    first.until("it has begun", lambda: None not in line.committed().values())
    first.kill()
    sent = line.publish(event(number, candidates=2) for number in range(5, 12))
    line.start(module="tests.integration.light_worker", **options)
    results = line.read(line.results, len(sent), isolation_level="read_committed")
    assert sources(results) == dict.fromkeys(sent, 1)

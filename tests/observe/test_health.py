"""What the probes are told."""

from __future__ import annotations

import pytest

from worker.flow.stage_threads import Heartbeat
from worker.observe.health import Awaited, Health


@pytest.fixture
def health() -> Health:
    return Health(live_limit_s=60)


def test_a_worker_that_was_ready_is_not_starting_any_more(health: Health) -> None:
    missing: list[str | None] = ["the scorer is warming up"]
    draining: list[bool] = [False]
    health.ready_when(lambda: missing[-1], is_draining=lambda: draining[-1])
    assert health.state() == ("starting", "the scorer is warming up")
    missing.append(None)
    assert health.state() == ("ready", None)
    missing.append("the worker is no member of the consumer group")
    assert health.state() == ("not ready", "the worker is no member of the consumer group")
    draining.append(True)
    assert health.state()[0] == "draining"


def test_whatever_takes_longer_than_it_may_is_named(health: Health) -> None:
    ages_s = [124.0]
    stuck = Heartbeat()
    health.watch(
        {"the main loop": Heartbeat(), "the scorer": stuck},
        [Awaited("an outcome has not been acknowledged", lambda: ages_s[-1], 125)],
    )
    assert health.livez() is None
    ages_s.append(126.0)
    assert health.livez() == "an outcome has not been acknowledged for 126.0 s"
    stuck.beat(-61)
    assert health.livez() == (
        "the scorer has not advanced for 61.0 s; an outcome has not been acknowledged for 126.0 s"
    )

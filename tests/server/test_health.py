"""What the probes are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.server import Health


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

"""What the watchdog looks at: the age of each thread and of the commits, with limits that no lawful wait passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.exits import Exit
from worker.flow.stage_threads import Heartbeat
from worker.observe.health import Awaited
from worker.observe.watchdog import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.config.settings import Settings


class Heartbeats(NamedTuple):
    """The heartbeats of the threads that must keep turning."""

    loop: Heartbeat
    scorer: Heartbeat
    publisher: Heartbeat

    @classmethod
    def new(cls) -> Heartbeats:
        """Return heartbeats that begin now."""
        return cls(Heartbeat(), Heartbeat(), Heartbeat())


_LATE_S = 5.0  # how late the client may be to give a record up
_NOT_ACKNOWLEDGED = "an outcome has not been acknowledged"


def awaited(settings: Settings, outcome_age_s: Callable[[], float]) -> list[Awaited]:
    """Return what /livez looks at beside the threads.

    A broker that is away ends no worker: only an outcome that is older than the client lets any become says that the
    client's own thread stands still.
    """
    return [Awaited(_NOT_ACKNOWLEDGED, outcome_age_s, _outcome_limit_s(settings, settings.server.live_limit_s))]


def checks(
    settings: Settings, heartbeats: Heartbeats, commit_age_s: Callable[[], float], outcome_age_s: Callable[[], float]
) -> list[Check]:
    """Return what must advance. Where several are stuck, the first of them decides how the worker ends."""
    limit_s, option = settings.watchdog.stuck_limit_s, "--stuck-limit-s"
    return [
        Check("the main loop has not gone round", heartbeats.loop.age_s, limit_s, option, Exit.STUCK_POLL),
        Check("the scorer has not gone round", heartbeats.scorer.age_s, limit_s, option, Exit.STUCK_SCORER),
        Check("the publisher has not gone round", heartbeats.publisher.age_s, limit_s, option, Exit.STUCK_PUBLISHER),
        Check(
            _NOT_ACKNOWLEDGED,
            outcome_age_s,
            _outcome_limit_s(settings, limit_s),
            f"{option} or, if that is longer, --delivery-timeout-s and {_LATE_S:g} s",
            Exit.STUCK_PUBLISHER,
        ),
        Check("nothing could be committed", commit_age_s, *_commit_limit(settings), Exit.STUCK_COMMIT),
    ]


def _outcome_limit_s(settings: Settings, limit_s: float) -> float:
    return max(limit_s, settings.kafka.delivery_timeout_s + _LATE_S)


def _commit_limit(settings: Settings) -> tuple[float, str]:
    """Return how old a commit may be, and what sets that: brokers may be away as long as for a result."""
    limit_s = settings.watchdog.stuck_limit_s + settings.kafka.delivery_timeout_s
    options = "--stuck-limit-s and --delivery-timeout-s"
    if settings.delivery.delivery == "at-least-once":
        return limit_s, options
    # It waits for its records, its offsets and its end, each for that long at most, and for half of it for a rebalance.
    return limit_s + 4 * settings.delivery.transaction_timeout_s, f"{options} and 4 times --transaction-timeout-s"

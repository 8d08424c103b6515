"""What a batch may hold, and what becomes of an event that cannot be scored in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from typing_extensions import Doc

from worker.scheduling.policy import OnOverload  # noqa: TC001 - the options are made from it at run time

# Why not every candidate of an event was scored.
NO_TIME = "no_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What a batch may hold, and what becomes of an event that cannot be scored in time."""

    batch_tokens: Annotated[
        int | None,
        Gt(0),
        Doc("Token budget of a batch; larger events are split. If not given, 4,096 on a CPU and 32,768 on CUDA."),
    ] = None
    schedule: Annotated[
        Literal["edf", "fifo", "lifo"],
        Doc(
            "edf: by deadline, what cannot be in time degraded; fifo: in order of arrival, however late; lifo: the "
            "newest first, however late, so that a backlog does not hold up what is fresh."
        ),
    ] = "edf"
    on_overload: Annotated[
        OnOverload,
        Doc(
            "While not everything can be scored in time: partial scores the same share of each event's candidates, the "
            "first ones; passthrough scores as many events as possible as a whole and returns the others as they came; "
            "score scores all of everything, late."
        ),
    ] = "partial"
    publish_margin_ms: Annotated[
        float, Ge(0), Doc("Time that is kept free before an event's deadline, for ranking and publishing it.")
    ] = 5.0


def token_budget(limits: BatchLimits, device: str) -> int:
    """Return the token budget of a batch on a device.

    On a CPU a batch is a queue of small forward passes, so a larger one is no faster and only makes its events wait for
    each other; a GPU needs much work at once.
    """
    return limits.batch_tokens or (4_096 if device == "cpu" else 32_768)


def degrades(limits: BatchLimits) -> bool:
    """Return whether an event that cannot be in time is not scored, or not as a whole."""
    return limits.schedule == "edf" and limits.on_overload != "score"

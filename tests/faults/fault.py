"""What a fault is: what it does, to how many workers, and what they may do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.load import Request, mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.history import Delivery
    from tests.faults.points import Plan
    from tests.faults.trial import Trial

BOTH: tuple[Delivery, ...] = ("at-least-once", "exactly-once")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to workers that are at work, and within which time they must be so again.

    `inject` returns when the fault is over. `plan` is what the workers do to themselves. `exits` are the statuses with
    which they may end by it, besides being killed and being asked to. What has no outcome `patience_s` after the bound
    counts as lost. With `by_proxy` the workers come to the broker through a proxy of their own, `trial.proxy`.
    Without `exact_scores` duplicates need only agree in their order, since a batch moves a real model's logits a bit.
    """

    name: str
    bound_s: float
    inject: Callable[[Trial], None] = lambda _: None
    workers: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    exits: frozenset[int] = frozenset()
    deliveries: tuple[Delivery, ...] = BOTH
    requests: Callable[[int], Request] = mixed
    burst: int = 20
    patience_s: float = 20.0
    by_proxy: bool = False
    exact_scores: bool = True

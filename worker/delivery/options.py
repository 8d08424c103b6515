"""Options of the delivery: what is promised about results, and how transactions keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Gt, Le, MinLen
from typing_extensions import Doc

from worker.admission.key_order import by_key, by_nothing, by_partition
from worker.kafka_io import IsolationLevel  # noqa: TC001 - the annotations of options are evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from worker.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """What is promised about results, and how transactions keep it."""

    delivery: Annotated[
        Literal["at-least-once", "exactly-once"],
        Doc("at-least-once, or exactly-once: in transactions, for readers that set isolation.level=read_committed."),
    ] = "at-least-once"
    isolation_level: Annotated[
        IsolationLevel | None,
        Doc(
            "Whether requests of transactions that are open or were aborted are read; read_committed for exactly-once."
        ),
    ] = None
    order_by_key: Annotated[
        bool, Doc("Publish the results of one key in the order of their requests, though a later one is ready first.")
    ] = True
    transactional_id: Annotated[
        Annotated[str, MinLen(1)] | None,
        Doc("Name of this replica's transactions, the same after a restart; made of group and host if not given."),
    ] = None
    transaction_interval_s: Annotated[
        float, Gt(0), Le(1), Doc("Seconds between the ends of two transactions while there is work.")
    ] = 0.05
    transaction_events: Annotated[int, Gt(0), Doc("Events after which a transaction ends before its time.")] = 1000
    transaction_timeout_s: Annotated[
        float, Gt(0), Le(900), Doc("Seconds after which the broker ends a transaction that was left open.")
    ] = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ValueError, which names the options."""
        if self.is_transactional and self.isolation_level == "read_uncommitted":
            raise ValueError("isolation_level read_uncommitted does not go with delivery exactly-once; leave it out")

    @property
    def is_transactional(self) -> bool:
        """Whether outcomes leave in transactions."""
        return self.delivery == "exactly-once"

    @property
    def reads(self) -> IsolationLevel:
        """Which requests are read."""
        return self.isolation_level or ("read_committed" if self.is_transactional else "read_uncommitted")

    @property
    def ordering_key(self) -> Callable[[Record], Hashable | None]:
        """Which outcomes leave in the order of their requests: those in one line."""
        if self.is_transactional:
            return by_partition  # a transaction may hold only a partition's contiguous prefix
        return by_key if self.order_by_key else by_nothing

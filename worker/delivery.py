"""How outcomes leave the worker: a delivery sends them, and says of each event when it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

from annotated_types import Gt, Le, MinLen
from typing_extensions import Doc

from worker.delays import Delays
from worker.exits import Exit, StopError
from worker.kafka_io import IsolationLevel  # noqa: TC001 - the annotations of options are evaluated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.channel import Channel
    from worker.jobs import Job
    from worker.kafka_io import Producer


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


class Outgoing(NamedTuple):
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]


class Ending(NamedTuple):
    """How an event ended, and when: acknowledged, put aside (`job.dropped`), or not delivered (`error`).

    `committed` says that its offset was committed together with its outcome.
    """

    job: Job
    at_s: float
    error: Exception | None = None
    committed: bool = False

    def check(self) -> None:
        """Raise StopError where the outcome was not delivered."""
        if self.error is None:
            return
        if isinstance(self.error, StopError):
            raise self.error
        partition, offset = self.job.record.partition, self.job.record.offset
        raise StopError(
            Exit.DELIVERY,
            f"could not publish the outcome of {partition.topic} partition {partition.number} offset {offset}: "
            f"{type(self.error).__name__}: {self.error}; it is not committed and will be read again",
        ) from self.error


class Delivery(Protocol):
    """What the publisher does with outcomes. All methods but `close` are for the publisher's thread.

    Every event that was sent or dropped ends in the endings, once. `delays` are those from sending an outcome to its
    readers' seeing it; any thread may read them.
    """

    delays: Delays

    def visible_s(self, now_s: float) -> float:
        """Return by when readers will see an outcome that is sent now, but for one in a hundred."""

    def send(self, job: Job, outgoing: Outgoing) -> None:
        """Send an event's outcome. Raises RecordTooLarge where it cannot be sent; nothing has happened then."""

    def drop(self, job: Job) -> None:
        """End an event without an outcome: somebody reads it again."""

    def patience_s(self, now_s: float) -> float | None:
        """Return after how many seconds at the latest `tend` must be called; None: not before the next `send`."""

    def tend(self, now_s: float) -> None:
        """Do what is due."""

    def finish(self) -> None:
        """Do what is left, after the last event."""

    def close(self) -> None:
        """Give up what is left and end the connection."""

    def commit_age_s(self) -> float:
        """Return for how long it has been trying to commit what it sent; 0 while it is not. For any thread."""


class AtLeastOnce:
    """Sends each outcome by itself; the broker's acknowledgement ends the event, whose offset is committed later."""

    def __init__(self, producer: Producer, endings: Channel[Ending]) -> None:
        self._producer = producer
        self._endings = endings
        self.delays = Delays()

    def visible_s(self, now_s: float) -> float:
        """Count with what acknowledgements take."""
        return now_s + self.delays.long_s

    def send(self, job: Job, outgoing: Outgoing) -> None:
        """Send it; the ending comes from the producer's thread."""
        sent_s = time.monotonic()

        def ended(error: Exception | None) -> None:
            now_s = time.monotonic()
            self.delays.observe(now_s - sent_s)
            self._endings.put(Ending(job, now_s, error))

        self._producer.send(*outgoing, ended)

    def drop(self, job: Job) -> None:
        """End it at once."""
        self._endings.put(Ending(job, time.monotonic()))

    def patience_s(self, _now_s: float) -> None:
        """Nothing is ever due."""
        return

    def tend(self, now_s: float) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing: what was sent is acknowledged by and by."""

    def close(self) -> None:
        """Wait a while for what was not acknowledged yet."""
        self._producer.close()

    def commit_age_s(self) -> float:
        """Never try: what it sent is committed by the main loop."""
        return 0.0

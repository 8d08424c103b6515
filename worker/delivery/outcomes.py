"""How outcomes leave the worker: a delivery sends them, and says of each event when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.delivery.keyed_topics import KeyedTopics
    from worker.jobs import Job
    from worker.scheduling.latency import LatencyWindow


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
    readers' seeing it; any thread may read them. `keyed` are the topics that have refused a record without a key.
    """

    delays: LatencyWindow
    keyed: KeyedTopics

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

    def outcome_age_s(self) -> float:
        """Return the age of the oldest outcome that was sent and not acknowledged; 0 without one. For any thread."""

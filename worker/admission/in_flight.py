"""The events inside the worker: what is written down of each when it comes in, and struck out when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.flow.job import Job

if TYPE_CHECKING:
    from worker.admission.dead_letter_guard import DeadLetterGuard
    from worker.admission.in_flight_limit import InFlightLimit
    from worker.admission.key_order import PrecedenceLinks
    from worker.offsets.tracker import OffsetTracker
    from worker.records import Record

_HEADER_BYTES = 150  # what a header takes beside its name and value; it may have next to nothing of those


@dataclass(frozen=True, slots=True)
class InFlight:
    """The four books in which each event inside the worker stands, from its admission to its end, in all or in none.

    The tracker has its offset, the in-flight limit its size, the guard its place among the last events, and the links
    what it must not overtake.
    """

    tracker: OffsetTracker
    limit: InFlightLimit
    guard: DeadLetterGuard
    links: PrecedenceLinks

    def admit(self, record: Record, now_s: float, clock_offset_s: float) -> Job | None:
        """Take in a record; `clock_offset_s` is how far the wall clock is ahead of the monotonic one.

        None where its partition was given up after it was fetched: the partition's next owner reads it.
        """
        created_s = now_s
        if record.timestamp_ms > 0:
            # A producer's clock may be ahead of this one: an event is never younger than its receipt.
            created_s = min(now_s, record.timestamp_ms / 1000 - clock_offset_s)
        tracked = self.tracker.track(record.partition, record.offset, record.next_offset, created_s)
        if tracked is None:
            return None
        job = Job(record, tracked, received_s=now_s, created_s=created_s)
        job.reserved_tokens = self.limit.reserve(_size_bytes(record))
        self.guard.on_admitted(tracked)
        self.links.on_admitted(job)
        return job

    def finish(self, job: Job, *, committed: bool) -> bool:
        """Let an event out; return whether it is to be read again here.

        That is so where its transaction was given up, and its partition is still this worker's. `committed` says that
        its offset was committed together with its outcome.
        """
        self.tracker.finish(job.tracked, done=not job.dropped, committed=committed)
        self.guard.on_finished(job.tracked, job.fault.reason if job.fault else None)
        self.limit.release(
            job.reserved_tokens, _size_bytes(job.record), len(job.scoring.pairs.ids) if job.scoring.pairs else 0
        )
        self.links.on_finished(job)
        return job.dropped and job.tracked.wanted


def _size_bytes(record: Record) -> int:
    headers = sum(_HEADER_BYTES + len(name.encode()) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers

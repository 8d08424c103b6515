"""Polls while the in-flight limit is not reached, and admits the records that the worker may take in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.dead_letters.corrupt_records import is_passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from worker.admission.in_flight import InFlight
    from worker.dead_letters.corrupt_records import OnCorruptRecord
    from worker.flow.channel import Channel
    from worker.flow.job import Job
    from worker.kafka_io import Consumer
    from worker.offsets.clock_skew import ClockSkew
    from worker.records import Partition, Record


class Intake:
    """Records from the consumer to the inbox of the first stage. For the main thread, but for `closed`."""

    POLL_S = 0.05  # how long a signal or a revocation may wait for the loop

    def __init__(  # noqa: PLR0913 - where records come from, where they go, and what bounds them
        self,
        consumer: Consumer,
        in_flight: InFlight,
        inbox: Channel[Job],
        on_corrupt_record: OnCorruptRecord,
        clock_skew: ClockSkew,
        *,
        read_interval_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._consumer = consumer
        self._in_flight = in_flight
        self._inbox = inbox
        self._on_corrupt_record = on_corrupt_record
        self._clock_skew = clock_skew
        self._read_interval_s = read_interval_s
        self._polled_s = 0.0
        self.closed = False  # nothing more is admitted; any thread may look
        self.lost: Record | None = None  # what cannot be read, and is not passed over
        self._paused = False
        self._poll_due_s = 0.0
        self._rewound: set[Partition] = set()  # read again since the last poll

    def pause_or_resume(self) -> bool:
        """Pause the partitions where nothing may come in now, or resume them; return whether they are paused."""
        self._paused = self._in_flight.limit.is_paused() or self.closed
        if self._paused:
            self._consumer.pause_all()
        else:
            self._consumer.resume_all()
        return self._paused

    def poll(self) -> list[Record]:
        """Return what has come: within `POLL_S`, or at once where the partitions are paused.

        It is read `read_interval_s` after the last time, or later.
        """
        wait_s = self.POLL_S
        if self._paused:
            # Only to stay a member. It costs as much as settling ten events, so not after each of them.
            now_s = time.monotonic()
            if now_s < self._poll_due_s:
                return []
            self._poll_due_s, wait_s = now_s + self.POLL_S, 0.0
        elif (early_s := self._polled_s + self._read_interval_s() - time.monotonic()) > 0:
            time.sleep(early_s)
        self._polled_s = time.monotonic()
        self._rewound.clear()
        return self._consumer.poll(wait_s, self._in_flight.limit.limits.max_poll_records)

    def admit(self, records: Sequence[Record]) -> None:
        """Hand on what came, up to a record that cannot be read and is not passed over."""
        if self.closed:
            return
        now_s = time.monotonic()
        clock_offset_s = time.time() - now_s  # the wall clock is read once for a record, so that it may jump later
        for record in records:
            if record.partition in self._rewound:
                continue  # it comes again, behind those before it
            if not is_passed(record, self._on_corrupt_record) and self._is_ours(record):
                self.lost = record
                return  # nothing behind it may be committed
            if (job := self._in_flight.admit(record, now_s, clock_offset_s)) is not None:
                self._inbox.put(job)
                if record.timestamp_ms > 0:
                    stamped_s = record.timestamp_ms / 1000 - clock_offset_s
                    self._clock_skew.compare(stamped_s, now_s, self._consumer.readable_since_s(record))

    def rewind(self, partitions: Iterable[Partition]) -> None:
        """Read partitions again from where they are not done: a transaction with events of theirs was given up."""
        self._rewound.update(partitions)
        self._consumer.rewind(self._in_flight.tracker.reset(partitions))

    def positions(self) -> dict[Partition, int]:
        """Return where reading has come to; nothing where records that were received were not taken in."""
        if self.closed or self.lost is not None:
            return {}
        return {name: at.position for name, at in self._consumer.places().items() if at.position is not None}

    def close(self) -> None:
        """Admit nothing more; the stages end once they have seen what is inside."""
        self.closed = True
        self._inbox.close()

    def _is_ours(self, record: Record) -> bool:
        return record.partition in self._in_flight.tracker.partitions

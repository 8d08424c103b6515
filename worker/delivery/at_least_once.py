"""The delivery of outcomes each by itself: what was acknowledged is committed later, by the main loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.delivery.delivery import Ending
from worker.delivery.keyed_topics import KeyedTopics
from worker.exits import Exit, StopError
from worker.kafka_io import KeyWanted
from worker.scheduling.latency import LatencyWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.flow.channel import Channel
    from worker.flow.job import Job
    from worker.kafka_io import Producer
    from worker.records import Outgoing


class AtLeastOnce:
    """Sends each outcome by itself; the broker's acknowledgement ends the event, whose offset is committed later.

    `connect` returns a producer. Where a topic refuses a record because it has no key, that producer is thrown away,
    and what it has not published ends as dropped, which makes the main loop read it again.
    """

    def __init__(self, connect: Callable[[], Producer], endings: Channel[Ending]) -> None:
        self._connect = connect
        self._producer = connect()
        self._is_broken = False
        self._endings = endings
        self.keyed = KeyedTopics()
        self._known_keyed = 0  # how many of them the producer was made with
        self.delays = LatencyWindow()
        # What is not acknowledged, the oldest first: the publisher adds, the client's thread removes, others copy it.
        self._sent_s: dict[Job, float] = {}

    def expected_visible_s(self, now_s: float) -> float:
        """Count with what acknowledgements take."""
        return now_s + self.delays.p97_s(now_s)

    def send(self, job: Job, outgoing: Outgoing) -> None:
        """Send it; the ending comes from the producer's thread."""
        self.on_tick(sent_s := time.monotonic())

        def ended(error: Exception | None) -> None:
            now_s = time.monotonic()
            self._sent_s.pop(job, None)
            self.delays.observe(now_s - sent_s, now_s)
            if isinstance(error, KeyWanted):
                self._note(error)
                job.drop()
                error = None
            self._endings.put(Ending(job, now_s, error))

        self._sent_s[job] = sent_s
        try:
            self._producer.send(*outgoing, ended)
        except BaseException:
            self._sent_s.pop(job, None)  # it ends in another way
            raise

    def drop(self, job: Job) -> None:
        """End it at once."""
        self._endings.put(Ending(job, time.monotonic()))

    def next_tick_in_s(self, _now_s: float) -> None:
        """Nothing is ever due."""
        return

    def on_tick(self, _now_s: float) -> None:
        """Replace a producer that cannot go on. Raises StopError, also where nobody knows which topic wants a key."""
        if not self._is_broken:
            return
        self._producer.close(0)  # before the next one is there: all that it has left fails now
        if len(self.keyed) == self._known_keyed:
            raise StopError(
                Exit.DELIVERY,
                "a topic refuses a record without a key, and the broker does not say which; set --key-for-keyless "
                "request_id",
            )
        self._known_keyed = len(self.keyed)
        self._producer = self._connect()
        self._is_broken = False

    def _note(self, error: KeyWanted) -> None:
        self._is_broken = True
        if error.topic is not None:
            self.keyed.add(error.topic)

    def finish(self) -> None:
        """Do nothing: what was sent is acknowledged by and by."""

    def close(self) -> None:
        """Wait a while for what was not acknowledged yet."""
        self._producer.close()

    def commit_age_s(self) -> float:
        """Never try: what it sent is committed by the main loop."""
        return 0.0

    def outcome_age_s(self) -> float:
        """Return the age of the oldest outcome that was sent and not acknowledged.

        The client's thread gives a record up after delivery_timeout_s: an older one says that this thread stands still.
        """
        first_s = next(iter(self._sent_s.copy().values()), None)
        return 0.0 if first_s is None else time.monotonic() - first_s

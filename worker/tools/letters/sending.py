"""Sends dead letters back one by one, takes in the acknowledgements, and commits how far all is acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError
from worker.kafka_io import RecordTooLarge
from worker.ledger import Ledger
from worker.tools.letters.choice import why_not
from worker.tools.letters.rows import counted, read_or_say
from worker.tools.screen import Screen, complain
from worker.tools.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.dead_letters import DeadLetter
    from worker.jobs import Record
    from worker.ledger import Ticket
    from worker.tools.letters.choice import Choice
    from worker.tools.letters.options import ReplayOptions
    from worker.tools.letters.outlets import Outlets
    from worker.tools.letters.topic import LetterTopic

_IN_FLIGHT = 1000  # events that were sent and not acknowledged
_LOOK_S = 0.05  # how long a signal or an acknowledgement may wait
_COMMIT_EVERY_S = 1.0
_FINISH_S = 30.0


class Sending:
    """One replay: what was sent, what was not and why, and how far."""

    def __init__(self, topic: LetterTopic, outlets: Outlets, choice: Choice, options: ReplayOptions) -> None:
        self._topic = topic
        self._outlets = outlets
        self._choice = choice
        self._options = options
        # Only what was chosen is in the ledger: the progress ends with the last of those, not with the topic.
        self._ledger = Ledger()
        self._ledger.assign(topic.partitions)
        self._fates: Counter[tuple[str, ...]] = Counter()
        self._failure: Exception | None = None
        self._sent = 0
        self._began_s = time.monotonic()
        self._commit_due_s = 0.0

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Send until the end or a signal, then wait for what is on its way, commit, and print what was done.

        Raises StopError where Kafka or a delivery failed; what was acknowledged is committed then, too.
        """
        whole = False
        try:
            whole = self._send_all(is_stopping)
        finally:
            self._finish()
            self._conclude(interrupted=is_stopping() and not whole)
        self._check(late=self._in_flight)

    @property
    def _in_flight(self) -> int:
        return self._ledger.open_count(self._ledger.partitions)

    def _send_all(self, is_stopping: Callable[[], bool]) -> bool:
        """Return whether the end was reached; else it was asked to stop."""
        while not self._topic.ended:
            for record in self._topic.poll():
                if is_stopping() or not self._take(record, is_stopping):
                    return False
            self._settle()
            self._check()
            if is_stopping():
                return self._topic.ended
        return True

    def _take(self, record: Record, is_stopping: Callable[[], bool]) -> bool:
        """Send a dead letter back, or pass it over; return False where it was neither, because of a signal."""
        letter = read_or_say(record)
        if letter is None:
            return self._pass_over(f"skipped: {'cannot be read' if unreadable(record) else 'not a dead letter'}")
        if not self._choice.takes(record, letter):
            return self._pass_over("not chosen")
        skipped = why_not(record, letter, self._options)
        if skipped is None and not self._may_send(is_stopping):
            return False
        ticket = self._ledger.open(record.partition, record.offset)
        assert ticket is not None, "the partitions are assigned to the end"
        skipped = skipped or self._send(ticket, letter)
        if skipped is None:
            return True
        self._ledger.settle(ticket, done=True)
        return self._pass_over(f"skipped: {skipped}")

    def _send(self, ticket: Ticket, letter: DeadLetter) -> str | None:
        """Send it, or return why that cannot be."""
        try:
            self._outlets.send(ticket, letter)
        except RecordTooLarge as error:
            complain(f"skipped: {ticket.partition.number}:{ticket.offset}: {error}")
            return "larger than its topic or --max-record-bytes allows"
        except StopError:
            self._ledger.settle(ticket, done=False)
            raise
        self._sent += 1
        return None

    def _pass_over(self, why: str) -> bool:
        self._fates[why,] += 1
        return True

    def _may_send(self, is_stopping: Callable[[], bool]) -> bool:
        """Wait for the rate, and for what is on its way; return False where a signal came first."""
        rate = self._options.rate
        due_s = self._began_s + self._sent / rate if rate else 0.0
        while not is_stopping():
            self._settle()
            self._check()
            left_s = due_s - time.monotonic()
            if left_s <= 0 and self._in_flight < _IN_FLIGHT:
                return True
            time.sleep(min(_LOOK_S, left_s) if left_s > 0 else _LOOK_S)
        return False

    def _settle(self) -> None:
        """Take in the acknowledgements, and commit now and then."""
        for ticket, topic, error in self._outlets.deliveries():
            self._ledger.settle(ticket, done=error is None)
            if error is None:
                self._fates[f"sent to {topic}",] += 1
            else:
                self._failure = self._failure or error
        now_s = time.monotonic()
        if now_s >= self._commit_due_s and (offsets := self._ledger.committable()):
            self._topic.commit(offsets)
            self._ledger.committed(offsets)
            self._commit_due_s = now_s + _COMMIT_EVERY_S

    def _finish(self) -> None:
        """Wait for what is on its way, and commit."""
        give_up_s = time.monotonic() + _FINISH_S
        while self._in_flight and time.monotonic() < give_up_s:
            time.sleep(_LOOK_S)
            self._settle()
        self._commit_due_s = 0.0
        self._settle()

    def _check(self, late: int = 0) -> None:
        """Raise where an event was not delivered, or is late."""
        again = "they are not counted as sent; run it again to go on"
        if isinstance(self._failure, StopError):
            raise self._failure
        if self._failure is not None:
            why = f"{type(self._failure).__name__}: {self._failure}"
            raise StopError(Exit.DELIVERY, f"events could not be sent: {why}; {again}") from self._failure
        if late:
            raise StopError(Exit.DELIVERY, f"{late} events were not acknowledged within {_FINISH_S:.0f} s; {again}")

    def _conclude(self, *, interrupted: bool) -> None:
        out = Screen()
        out.print(counted(self._fates, "what became of them"))
        if interrupted:
            again = "with --offsets from the first that was not sent" if self._options.from_beginning else "again"
            out.print(f"interrupted; run it {again} to go on")

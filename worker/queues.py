"""The events that wait for the device: a queue for each priority, in the order of their turns."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.batch import Waiting
    from worker.jobs import Job

Queue = list["Waiting"]  # a heap


class Queues:
    """Knows where each waiting event is, so that one can be hurried for the sake of another."""

    def __init__(self) -> None:
        self._queues: dict[int, Queue] = {}  # by priority
        self._places: dict[Job, int] = {}  # the priority of the queue that a waiting event is in

    def __len__(self) -> int:
        """Return how many events wait, the one that is taken in part included."""
        return len(self._places)

    def by_priority(self) -> list[Queue]:
        """Return the queues, the highest priority first."""
        return [self._queues[priority] for priority in sorted(self._queues, reverse=True)]

    def put(self, priority: int, waiting: Waiting) -> None:
        """Take in an event."""
        self._places[waiting.job] = priority
        heapq.heappush(self._queues.setdefault(priority, []), waiting)

    def pop(self, queue: Queue) -> None:
        """Take out the head of a queue."""
        del self._places[heapq.heappop(queue).job]

    def hurry(self, ahead: Job | None, turn_s: float, priority: int) -> None:
        """Give the events that must be published first a turn no later than this one, which waits for them else.

        It ends at the first that is early enough, since those before that one were hurried for its sake.
        """
        while ahead is not None and (place := self._places.get(ahead)) is not None:
            queue = self._queues[place]
            at = next(number for number, waiting in enumerate(queue) if waiting.job is ahead)
            waiting = queue[at]
            if waiting.turn_s <= turn_s and place >= priority:
                return
            del queue[at]
            heapq.heapify(queue)
            self.put(max(place, priority), waiting._replace(turn_s=min(waiting.turn_s, turn_s)))
            ahead = ahead.after

    def sweep(self) -> list[Job]:
        """Take out the events whose partition is being given up."""
        stale: list[Job] = []
        for queue in self._queues.values():
            unwanted = [waiting.job for waiting in queue if not waiting.job.ticket.wanted]
            if unwanted:
                stale += unwanted
                queue[:] = [waiting for waiting in queue if waiting.job.ticket.wanted]
                heapq.heapify(queue)
        for job in stale:
            del self._places[job]
        return stale


def turns(queues: list[Queue], *, calm: bool) -> Iterator[Queue]:
    """Yield the queue whose head is next, while there is one.

    While all that waits can be in time the earliest deadline goes first, whatever its priority; where not all can, the
    higher priority does. So a low priority is not starved as long as its deadlines can be met.
    """
    while waiting := [queue for queue in queues if queue]:
        yield min(waiting, key=itemgetter(0)) if calm else waiting[0]

"""What waits, by priority and turn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests import making
from worker.ledger import Ledger
from worker.scheduling.batch import Waiting
from worker.scheduling.deadline_queue import Queues, turns

if TYPE_CHECKING:
    from worker.jobs import Job


def _put(queues: Queues, job: Job, turn_s: float, priority: int = 0) -> None:
    assert job.pairs is not None
    tokens = job.pairs.offsets
    queues.put(priority, Waiting(turn_s, len(queues), 0, job, turn_s, tokens, tokens))


def _order(queues: Queues, *, calm: bool = False) -> list[Job]:
    """Take everything out in turn."""
    taken = []
    for queue in turns(queues.by_priority(), calm=calm):
        taken.append(queue[0].job)
        queues.pop(queue)
    assert len(queues) == 0
    return taken


def test_turns_go_by_priority_and_within_one_by_time_and_arrival() -> None:
    queues, jobs = Queues(), [making.job(1, offset=at) for at in range(4)]
    for job, turn_s, priority in zip(jobs, (5, 3, 3, 9), (0, 0, 0, 1), strict=True):
        _put(queues, job, turn_s, priority)
    assert len(queues) == 4
    assert _order(queues) == [jobs[3], jobs[1], jobs[2], jobs[0]]


def test_while_all_can_be_in_time_the_earliest_goes_first_whatever_its_priority() -> None:
    queues, low, high = Queues(), making.job(1), making.job(1, offset=1)
    _put(queues, low, 3)
    _put(queues, high, 9, priority=1)
    assert _order(queues, calm=True) == [low, high]


def test_what_must_be_published_first_is_hurried_up_to_one_that_is_early_enough() -> None:
    queues, jobs = Queues(), [making.job(1, offset=at) for at in range(4)]
    for before, after in itertools.pairwise(jobs):
        after.after = before
    for job, turn_s in zip(jobs[:3], (20, 1, 10), strict=True):
        _put(queues, job, turn_s)
    queues.hurry(jobs[2], 5, priority=0)
    assert _order(queues) == [jobs[1], jobs[2], jobs[0]]  # the first waits on: the second was early enough without it


def test_what_is_hurried_for_a_higher_priority_gets_it_too() -> None:
    queues, first, other = Queues(), making.job(1), making.job(1, offset=1)
    _put(queues, first, 9)
    _put(queues, other, 3)
    queues.hurry(first, 5, priority=1)
    assert _order(queues) == [first, other]
    queues.hurry(first, 1, priority=1)  # it waits no more


def test_events_of_a_partition_that_is_given_up_are_swept_out_of_every_queue() -> None:
    stays, goes = Ledger(), Ledger()
    for ledger in (stays, goes):
        ledger.assign([making.PARTITION])
    queues = Queues()
    kept = making.job(1, ledger=stays)
    gone = [making.job(1, offset=at, ledger=goes) for at in range(2)]
    _put(queues, kept, 2)
    _put(queues, gone[0], 1)
    _put(queues, gone[1], 1, priority=1)
    goes.retire([making.PARTITION])
    assert queues.sweep() == gone
    assert _order(queues) == [kept]

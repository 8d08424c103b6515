"""What waits, in the order of its deadlines."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests.support import making
from worker.offsets.tracker import OffsetTracker
from worker.scheduling.deadline_queue import DeadlineQueue, QueuedJob

if TYPE_CHECKING:
    from worker.flow.job import Job


def _put(queue: DeadlineQueue, job: Job, due_s: float, priority: float = 0) -> None:
    assert job.scoring.pairs is not None
    tokens = job.scoring.pairs.offsets.astype(float)
    effective_s, priority = min(due_s, job.inherited_deadline_s), max(priority, job.inherited_priority)
    queue.put(QueuedJob(job, due_s, effective_s, priority, tokens, tokens**2, least=1))
    queue.inherit_deadline(job, effective_s, priority)


def _order(queue: DeadlineQueue) -> list[Job]:
    queue.sort_in()
    assert queue.column("effective_s").tolist() == [queued.effective_s for queued in queue.waiting]
    return [queued.job for queued in queue.waiting]


def _line(count: int) -> list[Job]:
    jobs = [making.job(1, offset=at) for at in range(count)]
    for before, after in itertools.pairwise(jobs):
        after.after = before
    return jobs


def test_the_earliest_deadline_is_first_and_equal_ones_are_in_the_order_they_came() -> None:
    queue, jobs = DeadlineQueue(), [making.job(1, offset=at) for at in range(5)]
    for job, due_s in zip(jobs[:4], (5, 3, 3, 9), strict=True):
        _put(queue, job, due_s)
    assert _order(queue) == [jobs[1], jobs[2], jobs[0], jobs[3]]
    _put(queue, jobs[4], 3)
    assert _order(queue) == [jobs[1], jobs[2], jobs[4], jobs[0], jobs[3]]
    assert len(queue) == 5


def test_a_predecessor_that_waits_inherits_the_deadline_and_the_priority_of_a_follower() -> None:
    queue, (first, second), other = DeadlineQueue(), _line(2), making.job(1)
    _put(queue, first, 9)
    _put(queue, other, 5)
    _put(queue, second, 2, priority=3)
    assert _order(queue) == [first, second, other]
    assert queue.column("priority").tolist() == [3, 3, 0]
    assert queue.column("due_s").tolist() == [9, 2, 5]


def test_a_predecessor_that_comes_after_its_follower_inherits_its_deadline_too() -> None:
    queue, (first, second), other = DeadlineQueue(), _line(2), making.job(1)
    _put(queue, second, 2, priority=1)
    _put(queue, other, 5)
    _put(queue, first, 200)
    assert set(_order(queue)[:2]) == {first, second}
    assert queue.column("priority").tolist() == [1, 1, 0]


def test_a_predecessor_inherits_the_deadline_of_a_follower_that_has_left_the_queue() -> None:
    queue, (first, second), other = DeadlineQueue(), _line(2), making.job(1)
    _put(queue, second, 2)
    queue.sort_in()
    assert queue.remove([0]) == [second]
    _put(queue, other, 5)
    _put(queue, first, 200)
    assert _order(queue) == [first, other]


def test_a_whole_line_inherits_and_no_further_than_one_that_is_early_enough() -> None:
    queue, jobs = DeadlineQueue(), _line(4)
    for job, due_s in zip(jobs, (20, 1, 10, 5), strict=True):
        _put(queue, job, due_s)
    # The second made the first one early; the fourth makes the third one so.
    assert _order(queue) == [jobs[0], jobs[1], jobs[2], jobs[3]]
    assert queue.column("effective_s").tolist() == [1, 1, 5, 5]


def test_what_is_taken_in_part_stays_with_what_is_left_of_it() -> None:
    queue, job = DeadlineQueue(), making.job(10, 10, 10)
    _put(queue, job, 5)
    queue.sort_in()
    queue.advance(0, 2)
    columns = ("tokens", "done_tokens", "next_tokens", "least_tokens")
    assert [queue.column(name).tolist() for name in columns] == [[30], [20], [30], [10]]
    assert queue.remove([0]) == [job]
    assert len(queue) == 0


def test_lists_of_a_partition_that_is_given_up_are_swept_out_in_place_or_not_sorted_in_yet() -> None:
    stays, goes = OffsetTracker(), OffsetTracker()
    for tracker in (stays, goes):
        tracker.assign([making.PARTITION])
    queue, kept = DeadlineQueue(), making.job(1, tracker=stays)
    gone = [making.job(1, offset=at, tracker=goes) for at in range(2)]
    _put(queue, kept, 2)
    _put(queue, gone[0], 1)
    queue.sort_in()
    _put(queue, gone[1], 3)
    goes.start_revoking([making.PARTITION])
    assert queue.sweep() == gone
    assert _order(queue) == [kept]

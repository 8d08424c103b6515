"""What is committed, when, and for how long it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.looping import EVERY_TURN_S, NEVER_S, bench
from tests.support.making import PARTITION, corrupt, record
from worker.exits import StopError
from worker.offsets.lag import Watermark

if TYPE_CHECKING:
    from worker.kafka_io.rebalance import Kind


def test_nothing_behind_an_event_that_is_still_inside_is_committed() -> None:
    line = bench()
    first, second, third = line.take(record(0), record(1), record(8))  # compaction has left a hole
    line.end(second, third)
    line.turn()
    assert line.consumer.commits == []
    line.end(first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 9}]


def test_what_is_no_record_is_committed_too_once_reading_has_come_past_it_and_all_before_it_is_done() -> None:
    """The end of a transaction has an offset of its own."""
    line = bench()
    first, second = line.take(record(0), record(1))
    line.consumer.places_known = {PARTITION: Watermark(position=3, end=3, at_s=0.0)}
    line.end(first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}]
    line.end(second)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}, {PARTITION: 3}]


def test_nothing_is_committed_of_a_partition_of_which_nothing_was_done() -> None:
    line = bench()
    line.take()
    line.consumer.places_known = {PARTITION: Watermark(position=3, end=3, at_s=0.0)}
    line.turn()
    assert line.consumer.commits == []


def test_the_place_that_reading_has_come_to_is_not_committed_where_it_is_behind_records_that_were_not_taken() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.end(*line.take(record(7)))
    line.turn()
    line.consumer.records = [corrupt(8, 12), record(12)]
    line.consumer.places_known = {PARTITION: Watermark(position=13, end=13, at_s=0.0)}
    with pytest.raises(StopError):
        line.loop.run(lambda: False)
    assert line.consumer.commits == [{PARTITION: 8}]


def test_the_place_behind_lost_records_is_committed_although_nothing_came_there_yet() -> None:
    line = bench(on_corrupt_record="skip-to-dlq")
    line.end(*line.take(corrupt(8, 12)))
    line.turn()
    assert line.consumer.commits == [{PARTITION: 12}]


def test_a_refused_commit_is_counted_and_tried_again() -> None:
    line = bench()
    line.end(*line.take(record(3)))
    line.consumer.refusals = 1
    line.turn()
    assert line.consumer.commits == []
    assert line.metric("commits_total", result="refused") == 1
    line.turn()
    assert line.consumer.commits == [{PARTITION: 4}]
    assert line.metric("commits_total", result="ok") == 1


def test_a_refused_commit_is_tried_again_soon_and_ages_until_one_succeeds() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.loop._commits.RETRY_S = EVERY_TURN_S
    line.consumer.refusals = 2
    line.make_commit_due()
    line.end(*line.take(record(3)))
    assert line.loop.commit_age_s() == 0
    line.make_commit_due()
    line.turn()
    assert line.loop.commit_age_s() > 0
    attempt = line.loop._commits._attempt
    assert attempt._since_s is not None
    attempt._since_s -= 7
    line.turn()
    assert line.loop.commit_age_s() >= 7
    line.turn()
    assert line.consumer.commits == [{PARTITION: 4}]
    assert line.loop.commit_age_s() == 0


@pytest.mark.parametrize("kind", ["revoked", "lost"])
def test_what_is_not_ours_to_commit_any_more_does_not_age(kind: Kind) -> None:
    line = bench()
    line.end(*line.take(record(3)))
    line.consumer.refusals = 1
    line.turn()
    assert line.loop.commit_age_s() > 0
    line.consumer.tell(kind)
    line.turn()
    assert line.loop.commit_age_s() == 0


def test_commits_wait_for_their_interval() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.end(*line.take(record(3)))
    line.turn()
    assert line.consumer.commits == []
    assert line.tracker.committable() == {PARTITION: 4}


def test_a_commit_that_is_not_answered_holds_nothing_up_and_no_other_is_sent_beside_it() -> None:
    line = bench()
    line.consumer.is_silent = True
    for offset in range(5):
        line.settle(*line.take(record(offset)))
    assert [commit.offsets for commit in line.consumer.begun] == [{PARTITION: 1}]
    assert line.loop.commit_age_s() > 0
    line.consumer.is_silent = False
    line.consumer.begun[0].answered = True
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}, {PARTITION: 5}]
    assert line.tracker.committable() == {}


def test_the_next_commit_is_due_an_interval_after_the_end_of_the_one_before() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.consumer.is_silent = True
    line.make_commit_due()
    line.settle(*line.take(record(0)))
    line.make_commit_due()
    line.turn()
    line.settle(*line.take(record(1)))
    line.consumer.begun[0].answered = True
    line.turn()
    line.turn()
    assert len(line.consumer.begun) == 1  # though it was due when that one was sent


@pytest.mark.parametrize("kind", ["revoked", "lost"])
def test_an_answer_that_comes_after_the_partition_left_says_nothing_of_its_next_stay(kind: Kind) -> None:
    line = bench()
    line.consumer.is_silent = True
    line.settle(*line.take(record(3)))
    line.consumer.tell(kind)
    line.consumer.tell("assigned")
    (again,) = line.take(record(3))
    line.settle(again)
    line.consumer.is_silent = False
    line.consumer.begun[0].answered = True
    line.turn()
    assert line.consumer.commits == [{PARTITION: 4}, {PARTITION: 4}]  # the second one is of this stay


def test_after_a_commit_whose_end_is_not_known_the_next_one_is_sent_twice() -> None:
    """That without an answer may arrive behind the next one, and lead back."""
    line = bench()
    line.consumer.refusals = 1
    line.settle(*line.take(record(3)))
    for _ in range(4):
        line.turn()
    assert line.consumer.commits == [{PARTITION: 4}, {PARTITION: 4}]


def test_a_stop_commits_behind_a_commit_that_was_on_its_way() -> None:
    line = bench()
    line.consumer.is_silent = True
    line.settle(*line.take(record(0)))
    line.settle(*line.take(record(1)))
    line.loop.run(lambda: True)
    assert line.consumer.commits == [{PARTITION: 2}]
    assert len(line.consumer.begun) == 1

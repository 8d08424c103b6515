"""What is committed, when, and for how long it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.looping import EVERY_TURN_S, NEVER_S, bench
from tests.making import PARTITION, corrupt, record
from worker.exits import StopError
from worker.lag import Place

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
    line.consumer.places_known = {PARTITION: Place(position=3, end=3, at_s=0.0)}
    line.end(first)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}]
    line.end(second)
    line.turn()
    assert line.consumer.commits == [{PARTITION: 1}, {PARTITION: 3}]


def test_nothing_is_committed_of_a_partition_of_which_nothing_was_done() -> None:
    line = bench()
    line.take()
    line.consumer.places_known = {PARTITION: Place(position=3, end=3, at_s=0.0)}
    line.turn()
    assert line.consumer.commits == []


def test_the_place_that_reading_has_come_to_is_not_committed_where_it_is_behind_records_that_were_not_taken() -> None:
    line = bench(commit_interval_s=NEVER_S)
    line.end(*line.take(record(7)))
    line.turn()
    line.consumer.records = [corrupt(8, 12), record(12)]
    line.consumer.places_known = {PARTITION: Place(position=13, end=13, at_s=0.0)}
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
    assert line.ledger.committable() == {PARTITION: 4}

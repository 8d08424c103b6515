"""Which lists are scored next, and how much of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from worker.scheduling.feasibility import Pace
from worker.scheduling.policy import Choice, Policy, Waiting

if TYPE_CHECKING:
    from worker.scheduling.policy import OnOverload

EXACT = Pace(fixed_s=0.0, efficient_s=0.0, reserve_s=0.0)


def waiting(*rows: tuple[float, float], done_s: float = 0.0, priority: tuple[float, ...] = ()) -> Waiting:
    """Lists with so many seconds left and so much work, of ten candidates each."""
    slack_s, whole_s = (np.array(column, float) for column in zip(*rows, strict=True))
    done = np.zeros(len(rows))
    done[0] = done_s
    return Waiting(slack_s, whole_s, done, whole_s / 10, whole_s / 10, np.array(priority or [0.0] * len(rows)))


def choose(lists: Waiting, on_overload: OnOverload = "partial", *, pace: Pace = EXACT, offered: float = 2.0) -> Choice:
    return Policy(on_overload, pace, offered, spread=1.1).choose(lists)


@pytest.mark.parametrize("on_overload", ["partial", "passthrough", "score"])
def test_what_can_all_be_in_time_is_taken_by_deadline_whatever_its_priority(on_overload: OnOverload) -> None:
    chosen = choose(waiting((10, 5), (20, 5), priority=(0, 1)), on_overload)
    assert (chosen.take.tolist(), chosen.shares, chosen.is_degraded) == ([0, 1], None, False)


def test_what_has_no_time_for_another_pair_is_let_go() -> None:
    chosen = choose(waiting((0.1, 5), (20, 5)))
    assert (chosen.take.tolist(), list(chosen.let_go)) == ([1], [0])


def test_in_overload_all_are_cut_to_one_share() -> None:
    chosen = choose(waiting((10, 10), (10, 10)))
    assert chosen.shares is not None
    assert chosen.shares.tolist() == [0.5, 0.5]
    assert chosen.middle_share() == 0.5
    assert chosen.is_degraded


def test_in_a_burst_as_many_as_possible_come_first_and_are_whole() -> None:
    chosen = choose(waiting((10, 10), (13, 4)), offered=0.5)
    assert chosen.shares is not None
    assert chosen.shares.tolist() == pytest.approx([0.9, 1.0])


def test_a_burst_that_leaves_little_of_each_list_cuts_all_evenly() -> None:
    chosen = choose(waiting((10, 10), (10, 12)), offered=0.5)
    assert chosen.shares is not None
    assert np.ptp(chosen.shares) == pytest.approx(0)


def test_a_list_that_has_had_its_share_is_let_go_and_one_that_is_owed_little_waits() -> None:
    assert list(choose(waiting((5, 10), (5, 10), done_s=8)).let_go) == [0]
    owed = choose(waiting((5, 10), (5, 10), done_s=4))
    assert (owed.take.tolist(), list(owed.let_go)) == ([1], [])


def test_what_is_owed_little_is_scored_where_nothing_else_is_left() -> None:
    chosen = choose(waiting((0.5, 10), done_s=9)._replace(needed_s=np.array([0.1])))
    assert chosen.take.tolist() == [0]


def test_whole_lists_or_none_are_the_largest_number_in_time() -> None:
    chosen = choose(waiting((10, 8), (10, 5), (10, 5)), "passthrough")
    assert (chosen.take.tolist(), list(chosen.let_go), chosen.shares) == ([1, 2], [0], None)


def test_what_is_scored_late_goes_by_priority_and_is_not_bounded() -> None:
    chosen = choose(waiting((1, 8), (2, 5), priority=(0, 1)), "score")
    assert (chosen.take.tolist(), chosen.bounded, chosen.is_degraded) == ([1, 0], False, False)


BATCHES = Pace(fixed_s=1.0, efficient_s=10.0, reserve_s=10.0)


def test_a_list_with_little_time_goes_first_while_the_others_can_wait() -> None:
    chosen = choose(waiting((5, 4), (6, 4), (300, 60)), pace=BATCHES)
    assert chosen.take.tolist() == [0, 1, 2]
    assert chosen.shares is not None
    assert chosen.shares.tolist() == pytest.approx([0.625, 0.625, 1.0])


@pytest.mark.parametrize("on_overload", ["partial", "passthrough"])
def test_a_list_with_little_time_is_let_go_while_the_others_would_be_held_up(on_overload: OnOverload) -> None:
    lists = waiting((5, 3), (40, 30), (60, 30), (60, 30))
    chosen = choose(lists, on_overload, pace=BATCHES)
    assert 0 in chosen.let_go
    assert 0 not in chosen.take


def test_where_no_batch_can_be_efficient_lists_share_the_time_that_there_is() -> None:
    chosen = choose(waiting((5, 10), (5, 10)), pace=BATCHES)
    assert chosen.shares is not None
    assert chosen.shares.tolist() == pytest.approx([0.2, 0.2])


def test_lists_without_a_reserve_are_whole_where_one_batch_holds_them() -> None:
    chosen = choose(waiting((12, 9), (99, 50)), pace=BATCHES)
    assert (chosen.take.tolist(), chosen.shares) == ([0, 1], None)


def test_a_list_of_a_high_priority_that_is_too_large_does_not_keep_the_others_waiting() -> None:
    lists = waiting((15, 10), (120, 500), priority=(0, 1))
    assert choose(lists).take.tolist() == [0, 1]
    smaller = waiting((15, 10), (120, 115), priority=(0, 1))
    assert choose(smaller).take.tolist()[0] == 1

"""What can be in time, and how it is shared out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.scheduling.feasibility import Pace, late, let_go, shared_out, targets

EXACT = Pace(fixed_s=0.0, efficient_s=0.0, reserve_s=0.0)
Works = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 60)), min_size=1, max_size=8)


def _columns(*rows: float) -> np.ndarray:
    return np.array(rows, dtype=float)


def test_room_is_the_time_that_is_left_less_what_a_batch_costs_and_the_reserve() -> None:
    pace = Pace(fixed_s=1.0, efficient_s=4.0, reserve_s=4.0)
    slack_s, work_s = _columns(3, 8, 100), _columns(2, 5, 90)
    # The first ends with the next batch, which is efficient; the last has nothing behind it to be kept from.
    assert pace.room(slack_s, work_s).tolist() == pytest.approx([2, 4, 99])
    assert pace.room(_columns(), _columns()).tolist() == []


def test_a_list_is_urgent_when_an_efficient_batch_or_all_that_waits_would_be_late_for_it() -> None:
    pace = Pace(fixed_s=1.0, efficient_s=4.0, reserve_s=4.0, caution=2.0)
    assert pace.is_urgent(_columns(9, 10), _columns(50, 50)).tolist() == [True, False]
    assert pace.is_urgent(_columns(3, 4), _columns(0.5, 0.5)).tolist() == [True, False]


def test_lists_are_late_where_the_work_up_to_them_passes_their_room() -> None:
    assert late(_columns(2, 3, 9), _columns(2, 2, 2)).tolist() == [1]


def test_lists_that_stand_in_each_others_way_have_the_same_share() -> None:
    none = np.zeros(4)
    assert shared_out(_columns(20, 20, 20, 20), np.full(4, 10.0), none, none).tolist() == [0.5] * 4


def test_a_list_with_much_time_is_not_cut_for_one_with_little_before_it() -> None:
    none = np.zeros(3)
    assert shared_out(_columns(5, 5, 900), np.full(3, 10.0), none, none).tolist() == [0.25, 0.25, 1.0]


def test_what_is_the_least_or_done_already_is_not_shared_out_again() -> None:
    whole_s, least_s, done_s = np.full(3, 10.0), _columns(6, 0, 0), _columns(0, 8, 0)
    share = shared_out(np.full(3, 10.0), whole_s, least_s, done_s)
    assert share.tolist() == pytest.approx([0.4] * 3)  # 6 of the first, no more of the second, 4 of the third


@given(Works)
def test_shares_are_in_time_and_none_could_be_larger(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[1])
    whole_s, room_s = (np.array(column, float) for column in zip(*rows, strict=True))
    none = np.zeros(len(rows))
    share = shared_out(room_s, whole_s, none, none)
    assert not len(late(room_s, share * whole_s))
    assert (np.diff(share) >= -1e-9).all()
    more = np.minimum(share * 1.01 + 1e-6, 1.0)
    assert (share == 1).all() or len(late(room_s, more * whole_s))


def test_a_higher_priority_is_whole_first_and_the_rest_is_shared_out_below_it() -> None:
    whole_s, none = np.full(4, 10.0), np.zeros(4)
    found = targets(np.full(4, 26.0), whole_s, none, none, priority=_columns(0, 1, 0, 1), is_too_large=none > 0)
    assert found.tolist() == pytest.approx([3, 10, 3, 10])


def test_what_is_asked_for_is_left_if_possible_and_shared_out_if_not() -> None:
    whole_s, none = np.full(3, 10.0), np.zeros(3)
    least_s, one = _columns(6, 1, 1), np.zeros(3)
    same = {"priority": one, "is_too_large": none > 0}
    assert targets(np.full(3, 12.0), whole_s, none, least_s, **same).tolist() == pytest.approx([6, 3, 3])
    assert targets(np.full(3, 4.0), whole_s, none, least_s, **same).tolist() == pytest.approx([3, 0.5, 0.5])


def test_a_lower_priority_is_not_begun_while_the_higher_ones_cannot_be_whole() -> None:
    whole_s, none, least_s = np.full(2, 10.0), np.zeros(2), np.full(2, 1.0)
    found = targets(np.full(2, 8.0), whole_s, none, least_s, priority=_columns(1, 0), is_too_large=none > 0)
    assert found.tolist() == pytest.approx([8, 0])


def test_a_list_that_is_too_large_in_any_case_does_not_starve_a_lower_priority() -> None:
    whole_s, none, least_s = _columns(2, 500), np.zeros(2), _columns(2, 1)
    too_large = np.array([False, True])
    found = targets(_columns(15, 100), whole_s, none, least_s, priority=_columns(0, 1), is_too_large=too_large)
    assert found.tolist() == pytest.approx([2, 98])


@given(Works)
def test_the_largest_number_of_lists_is_kept(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[1])
    work_s, slack_s = (np.array(column, float) for column in zip(*rows, strict=True))
    alone = work_s <= slack_s
    work_s, slack_s = work_s[alone], slack_s[alone]
    may_go = np.ones(len(work_s), bool)
    gone = let_go(slack_s, EXACT, work_s, np.zeros(len(work_s)), may_go=may_go, most=99)
    best = max(
        len(kept)
        for size in range(len(work_s) + 1)
        for kept in itertools.combinations(range(len(work_s)), size)
        if not len(late(slack_s[list(kept)], work_s[list(kept)]))
    )
    assert len(work_s) - len(gone) == best


def test_the_lowest_priority_goes_first_and_what_was_begun_never() -> None:
    slack_s, work_s, priority = np.full(3, 20.0), _columns(10, 9, 8), _columns(1, 0, 0)
    every = np.ones(3, bool)
    assert let_go(slack_s, EXACT, work_s, priority, may_go=every, most=9) == [1]
    assert let_go(slack_s, EXACT, work_s, priority, may_go=np.array([True, False, True]), most=9) == [2]
    assert let_go(np.full(3, 5.0), EXACT, work_s, priority, may_go=~every, most=9) == []


def test_so_many_are_let_go_at_once_at_the_most() -> None:
    assert len(let_go(np.full(9, 1.0), EXACT, np.ones(9), np.zeros(9), may_go=np.ones(9, bool), most=3)) == 3


def test_a_list_that_has_time_for_all_that_waits_is_in_time_without_a_reserve() -> None:
    pace = Pace(fixed_s=0.0, efficient_s=1.0, reserve_s=5.0)
    assert let_go(_columns(9, 9), pace, _columns(5, 4), np.zeros(2), may_go=np.ones(2, bool), most=9) == []

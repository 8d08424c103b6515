"""What shares a batch, and what becomes of an event that cannot be scored in time."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.scheduling.per_token import PER_TOKEN, scheduler_of
from tests.support import making
from worker.flow.job import Slice
from worker.offsets.tracker import OffsetTracker
from worker.scheduling.cost_model import CostModel, CostOptions, Load
from worker.scheduling.limits import BatchLimits, degrades, token_budget
from worker.scheduling.scheduler import Dispatch, Scheduler

if TYPE_CHECKING:
    from worker.flow.job import Job


def _dispatch(batch: list[tuple[Job, int, int]], reason: str, passed: list[Job]) -> Dispatch:
    load = Load(0, 0)
    for job, start, stop in batch:
        assert job.scoring.pairs is not None
        lengths = np.diff(job.scoring.pairs.offsets[start : stop + 1])
        load = Load(load.tokens + int(lengths.sum()), load.squares + int((lengths**2).sum()))
    return Dispatch([Slice(*each) for each in batch], reason, passed, load)


def test_nothing_waits_at_first() -> None:
    scheduler = scheduler_of()
    assert len(scheduler) == 0
    assert scheduler.next_batch(0) == _dispatch([], "drained", [])


def test_the_earliest_deadline_goes_first() -> None:
    late, early = making.job(10, deadline_s=2000), making.job(10, deadline_s=1000)
    assert scheduler_of(late, early).next_batch(0) == _dispatch([(early, 0, 1), (late, 0, 1)], "drained", [])


def test_equal_events_go_in_the_order_they_came() -> None:
    first, second = making.job(10, deadline_s=99), making.job(10, deadline_s=99)
    assert scheduler_of(first, second).next_batch(0).batch == [(first, 0, 1), (second, 0, 1)]


def test_a_lower_priority_goes_first_by_its_deadline_while_all_can_be_met() -> None:
    plain, urgent = making.job(10, deadline_s=15), making.job(10, deadline_s=200, priority=1)
    assert scheduler_of(plain, urgent).next_batch(0) == _dispatch([(plain, 0, 1)], "deadline", [])


def test_a_lower_priority_does_not_make_a_higher_one_late_and_leaves_at_once() -> None:
    plain, urgent = making.job(10, deadline_s=15), making.job(10, deadline_s=16, priority=1)
    scheduler = scheduler_of(plain, urgent, on_overload="passthrough")
    assert scheduler.next_batch(0) == _dispatch([(urgent, 0, 1)], "drained", [plain])


@pytest.mark.parametrize("policy", ["partial", "passthrough"])
def test_one_event_that_cannot_be_met_does_not_starve_a_lower_priority_that_can(policy: str) -> None:
    plain = making.job(10, deadline_s=15)
    urgent, hopeless = making.job(10, deadline_s=100, priority=1), making.job(*[10] * 50, deadline_s=120, priority=1)
    scheduler = scheduler_of(plain, urgent, hopeless, on_overload=policy)
    assert scheduler.next_batch(0).batch == [(plain, 0, 1)]
    assert scheduler.next_batch(10).batch[0] == (urgent, 0, 1)


def test_what_is_scored_late_by_policy_counts_against_a_lower_priority() -> None:
    plain = making.job(10, deadline_s=15)
    late = making.job(*[10] * 5, deadline_s=5, priority=1)
    assert scheduler_of(plain, late, on_overload="score").next_batch(0).batch[0].job is late


def test_an_event_that_must_be_published_first_takes_the_turn_of_the_one_behind_it() -> None:
    loose, between = making.job(10, deadline_s=900), making.job(10, deadline_s=500)
    tight = making.job(10, deadline_s=15)
    tight.after = loose
    scheduler = scheduler_of(loose, between, tight)
    # With the first one before it the tight one cannot be met; it leaves at once, and is published behind it.
    assert scheduler.next_batch(0) == _dispatch([(loose, 0, 1), (between, 0, 1)], "deadline", [tight])


def test_a_whole_line_of_events_is_hurried_for_the_last_one_and_no_further_than_needed() -> None:
    line = [making.job(10, deadline_s=due) for due in (900, 20, 800, 700)]
    urgent = making.job(10, deadline_s=600, priority=1)
    for before, after in zip(line, [*line[1:], urgent], strict=True):
        after.after = before
    other = making.job(10, deadline_s=650)
    scheduler = scheduler_of(*line, other, urgent, budget=10)
    order = [job for _ in range(6) for job, *_ in scheduler.next_batch(0).batch]
    assert order == [*line, urgent, other]


def test_pairs_are_scored_for_their_time_alone_while_everything_is_let_go() -> None:
    scheduler = scheduler_of(on_overload="passthrough")
    probes = []
    for number in range(100):
        jobs = [making.job(*[100] * 3, deadline_s=0, offset=2 * number + more) for more in range(2)]
        scheduler.add(jobs[0])
        batch, _, passed, load, probe = scheduler.next_batch(number / 128)
        assert (batch, passed) == ([], [jobs[0]])
        assert load == (Load(0, 0) if probe is None else Load(200, 20_000))
        probes += [(number, probe.start, probe.stop)] if probe else []
    assert probes == [(number, 0, 2) for number in range(0, 100, 7)]  # the device stands idle


def test_a_batch_is_not_made_so_large_that_an_event_in_it_is_late() -> None:
    tight, loose = making.job(10, deadline_s=15), making.job(10, deadline_s=100)
    scheduler = scheduler_of(tight, loose)
    assert scheduler.next_batch(0) == _dispatch([(tight, 0, 1)], "deadline", [])
    assert scheduler.next_batch(10) == _dispatch([(loose, 0, 1)], "drained", [])


def test_the_margin_for_publishing_is_kept_free_up_to_half_of_the_budget() -> None:
    scheduler = Scheduler(BatchLimits(publish_margin_ms=6000, on_overload="passthrough"), 1000, PER_TOKEN)
    job, short = making.job(10, deadline_s=15), making.job(5, deadline_s=11)
    scheduler.add(job)
    assert scheduler.next_batch(0).passed == [job]
    scheduler.add(short, publishing_s=3600)
    assert scheduler.next_batch(0).batch == [(short, 0, 1)]


def test_a_batch_is_no_longer_than_half_of_a_short_budget() -> None:
    costs = CostModel(CostOptions(), [(Load(tokens, 0), 1 + float(tokens)) for tokens in (1, 10, 100)])
    scheduler = Scheduler(BatchLimits(publish_margin_ms=0), 1000, costs)
    jobs = [making.job(10, deadline_s=100 if number < 2 else 9000, offset=number) for number in range(25)]
    for job in jobs:
        scheduler.add(job)
    assert len(scheduler.next_batch(0).batch) == 4  # 49 of 100 s


def test_an_event_larger_than_the_budget_is_split_and_goes_on_first() -> None:
    large, small = making.job(10, 10, 10, deadline_s=1000), making.job(10, deadline_s=2000)
    scheduler = scheduler_of(large, small, budget=20)
    assert scheduler.next_batch(0) == _dispatch([(large, 0, 2)], "full", [])
    assert scheduler.next_batch(20) == _dispatch([(large, 2, 3), (small, 0, 1)], "drained", [])
    assert len(scheduler) == 0


def test_a_pair_longer_than_the_budget_travels_alone() -> None:
    small, long = making.job(5, deadline_s=1000), making.job(30, 5, deadline_s=2000)
    scheduler = scheduler_of(small, long, budget=20)
    assert scheduler.next_batch(0) == _dispatch([(small, 0, 1)], "full", [])
    assert scheduler.next_batch(5).batch == [(long, 0, 1)]
    assert scheduler.next_batch(35).batch == [(long, 1, 2)]


def test_partial_scores_as_many_of_the_first_candidates_as_fit() -> None:
    job = making.job(10, 10, 10, 10, deadline_s=25)
    scheduler = scheduler_of(job, on_overload="partial")
    assert scheduler.next_batch(0) == _dispatch([(job, 0, 2)], "deadline", [])
    job.scoring.unscored -= 2
    assert scheduler.next_batch(20).passed == [job]
    assert (job.scoring.limit, job.scoring.unscored, job.scoring.shed) == (2, 0, "no_time")


def test_what_was_cut_goes_on_where_time_is_left_after_all() -> None:
    job = making.job(10, 10, 10, 10, deadline_s=25)
    scheduler = scheduler_of(job, on_overload="partial")
    assert scheduler.next_batch(0).batch == [(job, 0, 2)]
    assert scheduler.next_batch(4).batch == [(job, 2, 4)]  # the device was five times as fast
    assert job.scoring.shed is None


def test_an_event_of_which_not_one_candidate_fits_passes_through_and_the_next_one_is_scored() -> None:
    hopeless, fine = making.job(10, 10, deadline_s=5), making.job(10, deadline_s=10.1)
    assert scheduler_of(hopeless, fine).next_batch(0) == _dispatch([(fine, 0, 1)], "drained", [hopeless])
    assert (hopeless.scoring.limit, hopeless.scoring.unscored, hopeless.scoring.shed) == (0, 0, "no_time")


def test_passthrough_scores_all_of_an_event_or_nothing() -> None:
    job, fine = making.job(10, 10, 10, deadline_s=25), making.job(10, deadline_s=99)
    scheduler = scheduler_of(job, fine, on_overload="passthrough")
    assert scheduler.next_batch(0) == _dispatch([(fine, 0, 1)], "drained", [job])
    assert (job.scoring.limit, job.scoring.unscored) == (0, 0)


def test_score_scores_all_of_an_event_however_late_and_lets_others_share_its_batch() -> None:
    late, other = making.job(10, 10, deadline_s=5), making.job(10, deadline_s=100)
    assert scheduler_of(late, other, on_overload="score").next_batch(0).batch == [(late, 0, 2), (other, 0, 1)]
    assert (late.scoring.limit, late.scoring.shed) == (2, None)


def test_an_event_that_was_begun_and_runs_out_of_time_keeps_what_it_has() -> None:
    job = making.job(10, 10, 10, 10, deadline_s=45)
    scheduler = scheduler_of(job, budget=20)
    assert scheduler.next_batch(0) == _dispatch([(job, 0, 2)], "full", [])
    # The batch took longer than it should have: 5 s are left, for 20 s of work.
    assert scheduler.next_batch(40).passed == [job]
    assert (job.scoring.limit, job.scoring.unscored, job.scoring.shed) == (
        2,
        2,
        "no_time",
    )  # the two are still on the device


def test_what_waits_behind_a_higher_priority_is_degraded_when_it_cannot_be_met_any_more() -> None:
    busy = making.job(*[10] * 10, deadline_s=101, priority=1)
    waiting = making.job(10, deadline_s=5)
    scheduler = scheduler_of(busy, waiting, budget=20)
    assert scheduler.next_batch(0) == _dispatch([(busy, 0, 2)], "full", [waiting])


def test_in_order_of_arrival_nothing_is_degraded_and_nothing_overtakes() -> None:
    first, second = making.job(10, deadline_s=9), making.job(10, deadline_s=1, priority=9)
    assert scheduler_of(first, second, schedule="fifo").next_batch(0).batch == [(first, 0, 1), (second, 0, 1)]


def test_events_of_a_partition_that_is_given_up_are_swept_out() -> None:
    tracker, other = OffsetTracker(), making.job(10, deadline_s=1000)
    tracker.assign([making.PARTITION])
    stale = [making.job(10, tracker=tracker, offset=offset, deadline_s=1000) for offset in range(2)]
    scheduler = scheduler_of(stale[0], other, stale[1])
    assert scheduler.sweep() == []
    tracker.start_revoking([making.PARTITION])
    assert sorted(map(id, scheduler.sweep())) == sorted(map(id, stale))
    assert scheduler.next_batch(0).batch == [(other, 0, 1)]


def test_events_are_degraded_unless_the_policy_or_the_schedule_says_otherwise() -> None:
    degrading = [BatchLimits(on_overload="partial"), BatchLimits(on_overload="passthrough")]
    assert all(map(degrades, degrading))
    assert not any(map(degrades, [BatchLimits(on_overload="score"), BatchLimits(schedule="fifo")]))


def test_the_token_budget_is_the_one_that_was_set_or_follows_the_device() -> None:
    assert token_budget(BatchLimits(batch_tokens=7), "cuda:0") == 7
    assert token_budget(BatchLimits(), "cpu") < token_budget(BatchLimits(), "cuda:1")


@pytest.mark.parametrize("policy", ["partial", "passthrough"])
def test_an_event_that_has_time_enough_alone_is_never_degraded_on_an_idle_device(policy: str) -> None:
    job = making.job(10, 10, deadline_s=20.1)
    assert scheduler_of(job, on_overload=policy).next_batch(0).batch == [(job, 0, 2)]


def test_in_overload_every_list_is_cut_to_the_same_share() -> None:
    jobs = [making.job(*[10] * 20, deadline_s=1000, offset=number) for number in range(10)]
    scheduler = scheduler_of(*jobs, budget=200)
    now_s = 0.0
    while len(scheduler):
        dispatch = scheduler.next_batch(now_s)
        for job, start, stop in dispatch.batch:
            job.scoring.unscored -= stop - start
        now_s += dispatch.load.tokens if dispatch.batch else 0
    assert {job.scoring.limit for job in jobs} == {10}
    assert now_s <= 1000


@pytest.mark.parametrize(("top_k", "limits"), [(None, [5, 5]), (8, [8, 2]), (40, [9, 1])])
def test_a_list_is_cut_no_shorter_than_its_top_k_where_that_is_possible(top_k: int | None, limits: list[int]) -> None:
    asking, other = (making.job(*[10] * 10, deadline_s=100, offset=number) for number in range(2))
    assert asking.request is not None
    asking.request = replace(asking.request, top_k=top_k)
    scheduler = scheduler_of(asking, other)
    batch = {job: stop for job, _, stop in scheduler.next_batch(0).batch}
    assert [batch[asking], batch[other]] == limits


def test_lists_of_long_texts_are_cut_to_the_same_share_as_lists_of_short_ones() -> None:
    long, short = making.job(*[100] * 10, deadline_s=550), making.job(*[10] * 10, deadline_s=550, offset=1)
    assert [stop for *_, stop in scheduler_of(long, short, budget=2000).next_batch(0).batch] == [5, 5]


def test_within_a_list_the_share_is_of_the_tokens() -> None:
    jobs = [making.job(*[10] * 10, *[100] * 9, deadline_s=1000, offset=number) for number in range(2)]
    assert [stop for *_, stop in scheduler_of(*jobs, budget=3000).next_batch(0).batch] == [14, 14]


def test_a_list_with_little_time_has_a_batch_of_its_own_only_while_it_holds_up_nothing_else() -> None:
    costs = CostModel(CostOptions(), [(Load(tokens, 0), 1 + float(tokens)) for tokens in (1, 10, 100)])

    def waiting(others: int) -> tuple[Job, Dispatch]:
        scheduler = Scheduler(BatchLimits(publish_margin_ms=0), 100, costs)
        urgent = making.job(5, deadline_s=8)
        scheduler.add(urgent)
        for number in range(others):
            scheduler.add(making.job(*[10] * 10, deadline_s=1000, offset=number + 1))
        return urgent, scheduler.next_batch(0)

    urgent, calm = waiting(others=2)
    assert calm.batch == [(urgent, 0, 1)]
    urgent, busy = waiting(others=20)
    assert busy.passed == [urgent]
    assert busy.load.tokens == 100


def test_the_newest_goes_first_where_that_is_asked_for_and_nothing_is_degraded() -> None:
    jobs = [making.job(10, deadline_s=0, offset=number) for number in range(3)]
    scheduler = scheduler_of(*jobs, schedule="lifo", budget=10)
    assert [scheduler.next_batch(99).batch[0].job for _ in jobs] == jobs[::-1]


def test_a_list_of_which_a_part_was_not_tokenized_has_the_share_of_all_its_candidates() -> None:
    whole, part = making.job(*[10] * 20, deadline_s=200), making.job(*[10] * 12, deadline_s=200, offset=1)
    part.scoring.leave_out(8)
    assert [stop for *_, stop in scheduler_of(whole, part).next_batch(0).batch] == [10, 10]


@pytest.mark.parametrize("waiting", [1_000, 16_000])
def test_choosing_a_batch_touches_no_more_lists_the_more_of_them_wait(waiting: int) -> None:
    chance = np.random.default_rng(1)
    scheduler = scheduler_of(budget=1000)
    for number in range(waiting):
        scheduler.add(making.job(10, 10, deadline_s=1e6 + number, offset=number, priority=int(chance.integers(2))))
    scheduler.next_batch(0)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        assert len(scheduler.next_batch(0).batch) == 50
    finally:
        sys.setprofile(None)
    assert calls < 6_000


@pytest.mark.parametrize("policy", ["partial", "score"])
def test_one_pair_that_is_likely_and_not_sure_to_be_late_is_scored_only_where_late_scores_are_wanted(
    policy: str,
) -> None:
    costs = CostModel(CostOptions(), [(Load(tokens, 0), float(tokens)) for tokens in (1, 10, 100)])
    likely, other = making.job(10, deadline_s=11.5), making.job(10, deadline_s=100, offset=1)
    scheduler = Scheduler(BatchLimits(publish_margin_ms=0, on_overload=policy), 1000, costs)  # type: ignore[arg-type]
    scheduler.add(likely)
    scheduler.add(other)
    batch, _, passed, *_ = scheduler.next_batch(0)
    assert (batch[0].job, passed) == ((likely, []) if policy == "score" else (other, [likely]))


def test_top_k_counts_candidates_of_which_several_may_have_one_pair() -> None:
    asking, other = (making.job(*[10] * 10, deadline_s=100, offset=number) for number in range(2))
    assert asking.request is not None
    assert asking.scoring.pairs is not None
    asking.request = replace(asking.request, top_k=8)
    asking.scoring.pairs = replace(asking.scoring.pairs, places=np.array([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    batch = {job: stop for job, _, stop in scheduler_of(asking, other).next_batch(0).batch}
    assert [batch[asking], batch[other]] == [5, 5]

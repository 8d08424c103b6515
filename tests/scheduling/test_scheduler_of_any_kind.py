"""What holds of batches, whatever waits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.scheduling.per_token import scheduler_of
from tests.support import making

if TYPE_CHECKING:
    from worker.flow.job import Job

Events = st.lists(
    st.tuples(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(0, 300), st.integers(0, 2)),
    max_size=20,
)


@given(Events, st.integers(1, 100), st.sampled_from(["partial", "passthrough", "score"]), st.floats(0.5, 2))
def test_every_event_ends_once_and_a_batch_keeps_its_bounds(
    events: list[tuple[list[int], int, int]], budget: int, policy: str, slowness: float
) -> None:
    jobs = [making.job(*lengths, deadline_s=due, priority=priority) for lengths, due, priority in events]
    scheduler = scheduler_of(*jobs, budget=budget, on_overload=policy)
    taken: dict[Job, int] = dict.fromkeys(jobs, 0)
    ended: set[Job] = set()
    now_s = 0.0
    while len(scheduler):
        batch, _, passed, load, probe = scheduler.next_batch(now_s)
        assert batch or passed, "a turn gets on"
        assert not (batch and probe), "a probe is for a device that would stand idle"
        tokens = 0
        for job, start, stop in batch:
            assert taken[job] == start < stop <= job.scoring.limit
            assert job not in ended
            taken[job] = stop
            job.scoring.unscored -= stop - start
            assert job.scoring.pairs is not None
            tokens += int(job.scoring.pairs.offsets[stop] - job.scoring.pairs.offsets[start])
            if stop == job.scoring.limit:
                ended.add(job)
        assert tokens == (0 if probe else load.tokens)
        assert tokens <= budget or sum(stop - start for _, start, stop in batch) == 1
        # By the cost model nothing in the batch is late, unless it travels alone or was to be scored late.
        if policy != "score" and len(batch) > 1:
            assert now_s + tokens <= min(job.deadline_s for job, _, _ in batch) + 1e-6
        for job in passed:
            assert job not in ended
            assert job.scoring.limit == taken[job] < (len(job.scoring.pairs) if job.scoring.pairs else math.inf)
            ended.add(job)
        now_s += tokens * slowness
    assert ended == set(jobs)
    for job in jobs:
        assert job.scoring.unscored == 0
        assert job.scoring.pairs is not None
        assert (job.scoring.limit == len(job.scoring.pairs)) == (job.scoring.shed is None)
        if policy == "score":
            assert job.scoring.shed is None


@given(Events, st.sampled_from(["partial", "passthrough"]))
def test_nothing_is_degraded_that_could_be_met_in_the_order_of_the_deadlines(
    events: list[tuple[list[int], int, int]], policy: str
) -> None:
    # Half a second more, since what the cost model has fitted is not quite one second a token.
    jobs = [making.job(*lengths, deadline_s=due + 0.5, priority=priority) for lengths, due, priority in events]
    work, met = 0, []
    for job in sorted(jobs, key=lambda job: job.deadline_s):
        assert job.scoring.pairs is not None
        tokens = int(job.scoring.pairs.offsets[-1])
        if tokens <= job.deadline_s:  # what could not be met alone takes no time where it passes through
            work += tokens
            met.append(work <= job.deadline_s)
    assume(policy == "passthrough" or len(met) == len(jobs))
    assume(all(met))
    scheduler = scheduler_of(*jobs, on_overload=policy)
    now_s = 0.0
    while len(scheduler):
        dispatch = scheduler.next_batch(now_s)
        for job, start, stop in dispatch.batch:
            job.scoring.unscored -= stop - start
        if dispatch.batch:
            now_s += dispatch.load.tokens
        for job, *_ in dispatch.batch:
            assert now_s <= job.deadline_s + 1e-6
    for job in jobs:
        assert job.scoring.pairs is not None
        assert (job.scoring.shed is None) == (job.scoring.pairs.offsets[-1] <= job.deadline_s)

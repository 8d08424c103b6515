"""A batch that is being put together."""

from __future__ import annotations

import math

import numpy as np

from tests.support import making
from worker.flow.job import Slice
from worker.scheduling.batch import Batch, lengths_of, probe
from worker.scheduling.cost_model import Terms
from worker.scheduling.deadline_queue import QueuedJob

SECOND_A_TOKEN = Terms(0.0, 1.0, 0.0)


def _queued(*lengths: int) -> QueuedJob:
    job = making.job(*lengths)
    assert job.scoring.pairs is not None
    tokens = job.scoring.pairs.offsets.astype(float)
    return QueuedJob(job, math.inf, math.inf, 0, tokens, tokens, least=1)


def test_pairs_fit_up_to_the_token_budget_and_one_always_does() -> None:
    batch = Batch(0.0, 25, SECOND_A_TOKEN, 1000)
    assert batch.room(_queued(10, 10, 10)) == 2
    assert batch.room(_queued(30, 10)) == 1
    batch.add(_queued(10, 10), 2, math.inf)
    assert batch.room(_queued(10)) == 0


def test_pairs_fit_before_the_earliest_deadline_in_the_batch() -> None:
    batch = Batch(100.0, 1000, SECOND_A_TOKEN, 1000)
    assert batch.fits(_queued(10, 10, 10), 125) == 2
    assert batch.fits(_queued(10, 10, 10), math.inf) == 3
    batch.add(_queued(10), 1, 125)
    assert batch.fits(_queued(10, 10), 900) == 1


def test_a_load_of_more_tokens_than_a_pass_has_takes_more_passes() -> None:
    batch = Batch(0.0, 1000, Terms(10.0, 0.0, 0.0), 20)
    assert batch.fits(_queued(10, 10, 10), 15) == 2
    assert batch.fits(_queued(10, 10, 10), 25) == 3


def test_lists_that_share_a_batch_share_their_padding() -> None:
    batch = Batch(0.0, 1000, SECOND_A_TOKEN, 1000, packing=0.5)
    assert batch.fits(_queued(10, 10, 10), 11) == 2
    batch.add(_queued(10), 1, math.inf)
    assert batch.apart_tokens == 10


def test_the_lengths_of_slices_are_those_of_their_pairs() -> None:
    job = making.job(3, 5, 7)
    assert lengths_of([Slice(job, 1, 3), Slice(job, 0, 1)]).tolist() == [5, 7, 3]
    assert lengths_of([]).dtype == np.int64


def test_a_probe_has_about_so_many_tokens_and_a_pair_at_least() -> None:
    assert probe(making.job(10, 10, 10), 25).stop == 2
    assert probe(making.job(100), 25).stop == 1

"""Pairs whose logit is remembered are not scored again, and get the logit that they had."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support import making
from worker.flow.job import Job, ModelName, Pairs
from worker.model.score_cache import ENTRY_BYTES, ScoreCache
from worker.model.tokenization.duplicate_pairs import without_repeats

MODEL = ModelName("m", "1")


def _cache(entries: int = 100) -> ScoreCache:
    return ScoreCache(entries * ENTRY_BYTES, MODEL)


def _job(*contents: int, split: int = 1) -> Job:
    """Return an event whose pairs are one token each."""
    job = making.job(1)
    n = len(contents)
    pairs = Pairs(np.array(contents, np.int32), np.arange(n + 1), np.full(n, split, np.int32))
    job.scoring.expect(without_repeats(pairs))
    return job


def _score(cache: ScoreCache, job: Job) -> list[int]:
    """Score what the cache does not know, each pair by its token; return the tokens that were scored."""
    cache.look_up(job)
    assert job.scoring.pairs is not None
    assert job.scoring.logits is not None
    assert job.scoring.keys is not None
    job.scoring.logits[:] = job.scoring.pairs.ids.astype(np.float32) / np.float32(10)
    cache.remember(job.scoring.keys, job.scoring.logits)
    return [int(token) for token in job.scoring.pairs.ids]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), max_size=12), st.integers(0, 12))
def test_every_candidate_has_its_own_logit_whatever_is_remembered(events: list[list[int]], entries: int) -> None:
    cache = _cache(entries)
    for contents in events:
        job = _job(*contents)
        scored = _score(cache, job)
        np.testing.assert_array_equal(job.candidate_logits(), np.array(contents, np.float32) / np.float32(10))
        assert len(set(scored)) == len(scored)
        assert len(cache) <= entries
    assert cache.hits + cache.misses == sum(len(set(contents)) for contents in events)


def test_only_what_is_new_is_scored() -> None:
    cache = _cache()
    assert _score(cache, _job(1, 2, 1)) == [1, 2]
    assert _score(cache, _job(3, 2, 3)) == [3]
    assert _score(cache, _job(2, 1)) == []
    assert (cache.hits, cache.misses) == (3, 3)


def test_another_model_or_another_split_is_another_pair() -> None:
    cache = _cache()
    _score(cache, _job(1))
    assert _score(cache, _job(1, split=0)) == [1]
    job, other = _job(1), _job(1)
    cache.look_up(job)
    _cache().look_up(other)
    ScoreCache(ENTRY_BYTES, ModelName("m", "2")).look_up(later := _job(1))
    assert job.scoring.keys == []
    assert other.scoring.keys != later.scoring.keys


def test_what_was_not_used_for_longest_is_forgotten_first() -> None:
    cache = _cache(2)
    _score(cache, _job(1, 2))
    _score(cache, _job(1))
    _score(cache, _job(3))
    assert _score(cache, _job(1, 3)) == []
    assert _score(cache, _job(2)) == [2]


def test_a_pair_that_could_not_be_scored_is_not_remembered() -> None:
    cache = _cache()
    job = _job(1, 2)
    cache.look_up(job)
    assert job.scoring.keys is not None
    cache.remember(job.scoring.keys, np.array([np.nan, 0.5], np.float32))
    assert len(cache) == 1
    assert _score(cache, _job(1, 2)) == [1]


def test_threads_share_it() -> None:
    cache = _cache(50)

    def work(seed: int) -> None:
        for contents in np.random.default_rng(seed).integers(0, 100, (200, 10)).tolist():
            _score(cache, _job(*contents))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) <= 50
    job = _job(*range(100))
    _score(cache, job)
    np.testing.assert_array_equal(job.candidate_logits(), np.arange(100, dtype=np.float32) / np.float32(10))

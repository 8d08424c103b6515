"""Equal pairs of an event are scored once, and every candidate gets its pair's logit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support import making
from worker.flow.job import Job, Pairs
from worker.model.tokenization.duplicate_pairs import without_repeats

CONTENTS = st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=3), st.integers(0, 2)), max_size=30)


def _pairs(contents: list[tuple[list[int], int]]) -> Pairs:
    ids = [number for content, _ in contents for number in content]
    offsets = np.cumsum([0, *(len(content) for content, _ in contents)])
    return Pairs(np.array(ids, np.int32), offsets, np.array([split for _, split in contents], np.int32), truncated=3)


def _contents(pairs: Pairs) -> list[tuple[list[int], int]]:
    bounds = zip(pairs.offsets, pairs.offsets[1:], pairs.splits.tolist(), strict=False)
    return [(pairs.ids[start:stop].tolist(), split) for start, stop, split in bounds]


@given(CONTENTS)
def test_each_different_pair_is_kept_once_in_its_order(contents: list[tuple[list[int], int]]) -> None:
    pairs = without_repeats(_pairs(contents))
    different = dict.fromkeys((tuple(ids), split) for ids, split in contents)
    assert _contents(pairs) == [(list(ids), split) for ids, split in different]
    places = range(len(contents)) if pairs.places is None else pairs.places.tolist()
    assert [_contents(pairs)[place] for place in places] == contents
    assert pairs.truncated == 3


def test_pairs_that_are_all_different_are_left_alone() -> None:
    pairs = _pairs([([1, 2], 1), ([1, 2], 2), ([2, 1], 1)])
    kept = without_repeats(pairs)
    assert _contents(kept) == _contents(pairs)


def test_every_candidate_has_the_logit_of_its_pair() -> None:
    job: Job = making.job(1)
    job.scoring.expect(without_repeats(_pairs([([1], 1), ([2], 1), ([1], 1), ([3], 1), ([2], 1)])))
    assert job.scoring.unscored == job.scoring.limit == 3
    assert job.scoring.logits is not None
    job.scoring.logits[:2] = (0.1, 0.2)
    np.testing.assert_array_equal(job.candidate_logits(), np.array([0.1, 0.2, 0.1, np.nan, 0.2], np.float32))

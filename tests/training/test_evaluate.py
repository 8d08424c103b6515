"""The scorers that a model is measured against."""

import numpy as np
import pytest

from worker.training.data import JudgedPairs
from worker.training.evaluate import bm25_scores, words


def test_a_keyword_is_a_run_of_letters_and_digits() -> None:
    assert words("3/4-in. x 50 ft. hose") == ["3", "4", "in", "x", "50", "ft", "hose"]


def test_bm25_gives_every_pair_its_own_score() -> None:
    pytest.importorskip("rank_bm25")
    titles = ["garden hose", "garden rake", "lamp", "drill bit", "paint brush"]
    queries = ["garden hose", "garden hose", "drill", "garden hose", "drill"]
    judged = JudgedPairs(queries, [titles[i] for i in (0, 1, 3, 2, 4)], np.ones(5))
    hose, rake, drill, lamp, brush = bm25_scores(judged).tolist()
    assert hose > rake > lamp == 0.0
    assert drill > brush == 0.0

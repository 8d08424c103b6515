"""From logits to a ranked list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from worker.events.ranking import ACTIVATIONS, displacement, rank


def _logits(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_the_best_goes_first_and_ties_keep_the_order_they_came_in() -> None:
    ranking = rank(_logits(0, 2, 0, 3), "sigmoid")
    assert ranking.order.tolist() == [3, 1, 0, 2]
    assert (ranking.outcome, ranking.reason) == ("reranked", "complete")


def test_candidates_that_were_not_scored_come_last_in_their_order() -> None:
    ranking = rank(_logits(-5, math.nan, 1, math.nan), "sigmoid")
    assert ranking.order.tolist() == [2, 0, 1, 3]
    assert (ranking.outcome, ranking.reason) == ("partial", "unscored")
    assert np.isnan(ranking.scores[[1, 3]]).all()


def test_a_list_of_which_nothing_was_scored_passes_through() -> None:
    ranking = rank(_logits(math.nan, math.nan), "sigmoid")
    assert ranking.order.tolist() == [0, 1]
    assert ranking.outcome == "passthrough"


def test_logits_that_half_precision_would_tie_do_not_tie() -> None:
    ranking = rank(_logits(17.0, 17.1), "sigmoid")
    assert ranking.order.tolist() == [1, 0]
    assert ranking.scores[1] > ranking.scores[0]


@pytest.mark.parametrize(
    ("activation", "score"),
    [("sigmoid", 1 / (1 + math.exp(-2))), ("identity", 2.0), ("tanh", math.tanh(2)), ("relu", 2.0)],
)
def test_the_score_is_the_activation_of_the_logit(activation: str, score: float) -> None:
    assert rank(_logits(2, -2), activation).scores[0] == pytest.approx(score, rel=1e-12)


def test_extreme_logits_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert ACTIVATIONS["sigmoid"](np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("order", "moved"), [([3], 0.0), ([1, 2, 3], 1.0), ([3, 2, 1], 0.0), ([1, 2, 3, 4], 1.0)])
def test_displacement_runs_from_as_it_came_to_reversed(order: list[float], moved: float) -> None:
    assert displacement(rank(_logits(*order), "identity")) == moved


@given(
    stn.arrays(np.float32, st.integers(1, 50), elements=st.floats(-50, 50, width=32)),
    st.sampled_from(list(ACTIVATIONS)),
)
def test_a_ranking_is_a_permutation_with_falling_scores(logits: np.ndarray, activation: str) -> None:
    ranking = rank(logits, activation)
    assert sorted(ranking.order.tolist()) == list(range(len(logits)))
    assert (np.diff(ranking.scores[ranking.order]) <= 0).all()
    assert 0 <= displacement(ranking) <= 1

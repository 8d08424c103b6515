"""The figures of merit, against hand-made numbers and another implementation."""

import numpy as np
import pytest

from worker.training.data import JudgedPairs
from worker.training.quality import dcg, measure, ndcg, rankable


def pairs(lists: dict[str, list[float]]) -> JudgedPairs:
    queries = [query for query, labels in lists.items() for _ in labels]
    labels = [label for labels in lists.values() for label in labels]
    return JudgedPairs(queries, [f"title {row}" for row in range(len(queries))], np.array(labels))


def test_dcg_is_the_sum_a_person_would_write() -> None:
    assert dcg(np.array([3.0, 2.0, 1.0]), 10) == pytest.approx(3 / 1 + 2 / np.log2(3) + 1 / 2)


def test_dcg_stops_at_k() -> None:
    assert dcg(np.array([1.0, 1.0, 1.0]), 1) == 1.0


def test_the_best_order_has_ndcg_1_and_the_worst_has_less() -> None:
    gains = np.array([0.0, 1.0, 2.0])
    assert ndcg(gains, np.array([0.1, 0.2, 0.3])) == 1.0
    assert ndcg(gains, np.array([0.3, 0.2, 0.1])) == pytest.approx((1 / np.log2(3) + 1) / (2 + 1 / np.log2(3)))


def test_ties_keep_the_input_order() -> None:
    assert ndcg(np.array([2.0, 0.0]), np.zeros(2)) == 1.0
    assert ndcg(np.array([0.0, 2.0]), np.zeros(2)) == pytest.approx(1 / np.log2(3))


def test_a_list_without_gain_counts_as_0() -> None:
    assert ndcg(np.zeros(6), np.arange(6.0)) == 0.0


def test_ndcg_agrees_with_scikit_learn_where_no_scores_tie() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    for size in (2, 9, 10, 11, 40):
        gains, scores = rng.integers(0, 4, size).astype(float), rng.permutation(size).astype(float)
        assert ndcg(gains, scores) == pytest.approx(metrics.ndcg_score([gains], [scores], k=10))


def test_only_queries_with_five_products_and_differing_labels_can_be_ranked() -> None:
    judged = pairs({"few": [1, 2, 3, 3], "same": [3, 3, 3, 3, 3], "good": [1, 2, 3, 3, 3]})
    assert [rows.tolist() for rows in rankable(judged)] == [[9, 10, 11, 12, 13]]


def test_scores_in_proportion_to_the_labels_are_perfect() -> None:
    judged = pairs({"one": [1, 2, 3, 3, 1], "two": [1, 1.5, 3, 2, 2.5]})
    found = measure(judged, judged.relevance / 2)
    assert found == pytest.approx((1.0, 1.0, 1.0, 2))


def test_the_lowest_label_has_no_gain() -> None:
    judged = pairs({"one": [1, 1, 1, 1, 3]})
    worst = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert measure(judged, worst).ndcg == pytest.approx(1 / np.log2(6))

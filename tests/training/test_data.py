"""The held-out split: a tenth of the distinct queries, the same ones every time."""

from pathlib import Path

import pytest

from worker.training.data import held_out_queries, read_pairs

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

HOME_DEPOT = Path(__file__).parents[3] / "shared/data/homedepot_train.parquet"


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    queries = [f"Query {number % 40}" for number in range(120)]
    titles = [f"Title {number}" for number in range(120)]
    table = pa.table({"search_term": queries, "product_title": titles, "relevance": [1 + n % 3 for n in range(120)]})
    path = tmp_path / "pairs.parquet"
    pq.write_table(table, path)
    return path


def test_a_tenth_of_the_distinct_queries_is_held_out_whatever_their_order() -> None:
    queries = [f"query {number}" for number in range(95)] * 2
    held_out = held_out_queries(queries)
    assert len(held_out) == 9
    assert held_out == held_out_queries(queries[::-1])
    assert held_out < set(queries)


def test_a_query_is_either_held_out_or_not(judged: Path) -> None:
    test, train = read_pairs(judged, held_out=True), read_pairs(judged, held_out=False)
    assert (len(test), len(train)) == (12, 108)
    assert not set(test.queries) & set(train.queries)


def test_texts_are_lower_cased_and_stay_with_their_labels(judged: Path) -> None:
    pairs = read_pairs(judged, held_out=True)
    for query, title, relevance in zip(pairs.queries, pairs.titles, pairs.relevance, strict=True):
        number = int(title.removeprefix("title "))
        assert query == f"query {number % 40}"
        assert relevance == 1 + number % 3


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"search_term": ["drill"], "product_title": ["Drill"]}), tmp_path / "pairs.parquet")
    with pytest.raises(ValueError, match="relevance is missing"):
        read_pairs(tmp_path / "pairs.parquet", held_out=True)


@pytest.mark.skipif(not HOME_DEPOT.exists(), reason="needs ../shared/data/homedepot_train.parquet")
def test_the_home_depot_split_has_the_published_size() -> None:
    assert len(read_pairs(HOME_DEPOT, held_out=True)) == 7_426
    assert len(read_pairs(HOME_DEPOT, held_out=False)) == 66_641

"""The texts that benches measure with: the same each time, of the lengths that are stated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet
from tokenizers import Tokenizer

from worker.events.codec import Decoder, EventOptions
from worker.exits import Exit, StopError
from worker.records import Partition, Record
from worker.tools.bench.workload import load_workload, synthetic
from worker.tools.demo.place import MODEL

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = EventOptions()


def test_synthetic_pairs_depend_on_the_seed_alone() -> None:
    assert synthetic(200, mean_tokens=40).pairs == synthetic(200, mean_tokens=40).pairs
    assert synthetic(200, mean_tokens=40).pairs != synthetic(200, mean_tokens=40, seed=1).pairs


def test_more_synthetic_pairs_begin_with_the_same_ones() -> None:
    assert synthetic(200, mean_tokens=40).pairs[:70] == synthetic(70, mean_tokens=40).pairs


@pytest.mark.parametrize("mean", [40, 80])
def test_synthetic_pairs_have_the_stated_mean_and_a_long_tail(mean: int) -> None:
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    pairs = synthetic(2_000, mean_tokens=mean).pairs
    lengths = sorted(len(encoding) for encoding in tokenizer.encode_batch_fast(pairs))
    assert sum(lengths) / len(lengths) == pytest.approx(mean, rel=0.15)
    assert 2 * mean < lengths[-20] < 320


def test_no_synthetic_product_occurs_twice() -> None:
    texts = [text for _, text in synthetic(3_000, mean_tokens=20).pairs]
    assert len(set(texts)) == 3_000


def test_events_are_valid_requests_that_use_the_texts_in_turn() -> None:
    workload = synthetic(10, mean_tokens=20)
    decoder = Decoder(OPTIONS)
    values = list(workload.events(4, 5, budget_ms=300))
    requests = [decoder.decode(Record(Partition("t", 0), 0, 0, None, value)) for value in values]
    assert [request.request_id for request in requests] == ["r0", "r1", "r2", "r3"]
    assert requests[0].texts + requests[1].texts == [text for _, text in workload.pairs]
    assert requests[2].texts == requests[0].texts
    assert requests[0].budget_ms == 300


def test_pairs_are_read_from_requests_in_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    candidates = [{"id": "a", "text": "one"}, {"id": "b", "fields": {"title": "two", "brand": "B"}}]
    file.write_text(json.dumps({"request_id": "r", "query": "q", "candidates": candidates}))
    assert load_workload(file, OPTIONS, pairs=10).pairs == [("q", "one"), ("q", "two B")]
    assert load_workload(file, OPTIONS, pairs=1).pairs == [("q", "one")]


def test_pairs_are_read_from_a_table_by_the_names_of_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "pairs.parquet"
    columns = {"search_term": ["q", None, "r"], "product_title": ["t", "u", " "], "description": ["d", "e", None]}
    parquet.write_table(pa.table(columns), file)
    assert load_workload(file, OPTIONS, pairs=10).pairs == [("q", "t d")]


def test_a_table_without_queries_is_refused_with_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "pairs.parquet"
    parquet.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(StopError, match=r"expected a column query or search_term .* got a$") as caught:
        load_workload(file, OPTIONS, pairs=10)
    assert caught.value.code == Exit.USAGE


@pytest.mark.parametrize(("name", "content"), [("x.parquet", b"no"), ("x.csv", b"a"), ("x.jsonl", b"{}"), ("no", None)])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StopError) as caught:
        load_workload(file, OPTIONS, pairs=10)
    assert caught.value.code == Exit.USAGE

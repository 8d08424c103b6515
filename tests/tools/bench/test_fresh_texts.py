"""Texts that come once: what is measured with them has no cache to answer from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.making import record
from worker.events.codec import Decoder, EventOptions
from worker.exits import StopError
from worker.tools.bench.fresh_texts import FreshTexts
from worker.tools.bench.requests import RequestMaker
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = EventOptions()


def fresh(file: Path | None = None, least: int = 1) -> FreshTexts:
    return FreshTexts(file, OPTIONS, mean_tokens=20, least=Least(least, "three rounds"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ten rows of seven different texts."""
    path = tmp_path / "pairs.parquet"
    texts = ["a", "b", "a", "c", "b", "d", "e", "f", "a", "g"]
    parquet.write_table(pa.table({"query": ["first", *["later"] * 9], "text": texts}), path)
    return path


def test_each_round_has_texts_of_its_own_and_they_are_the_same_for_all_of_it() -> None:
    maker, decoder, seen = RequestMaker(fresh()), Decoder(OPTIONS), list[str]()
    for _ in range(4):
        pairs, requests = maker.round(30, 5)
        decoded = [decoder.decode(record(value=each.value)) for each in requests]
        assert [(one.query, text) for one in decoded for text in one.texts] == pairs
        seen += [text for _, text in pairs]
    assert len(set(seen)) == len(seen) == 4 * 30 * 5


def test_a_file_gives_the_first_pair_of_each_text(file: Path) -> None:
    texts = fresh(file)
    assert texts.take(3) == [("first", "a"), ("later", "b"), ("later", "c")]
    assert [text for _, text in texts.take(9)] == ["d", "e", "f", "g"]


def test_rounds_are_as_long_as_the_texts_of_a_file_last(file: Path) -> None:
    texts = fresh(file)
    texts.take(1)
    assert (texts.lasting(100, rounds=2), texts.lasting(2, rounds=2)) == (3, 2)
    assert fresh().lasting(100, rounds=2) == 100


def test_a_file_with_too_few_different_texts_is_refused_with_both_numbers(file: Path) -> None:
    with pytest.raises(StopError, match=r"three rounds need at least 8 different product texts, .* has 7;"):
        fresh(file, least=8)

"""A small pass takes the cheapest graph that has room for it, and none that would be mostly empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model.flat_stream import Size
from worker.model.graph_sizes import fitting, graph_sizes

SIZES = graph_sizes(512, 16_384)


def test_there_are_sizes_for_short_pairs_and_for_long_ones() -> None:
    assert SIZES[:4] == [Size(128, 8, 128), Size(256, 16, 128), Size(256, 8, 512), Size(512, 32, 128)]
    assert SIZES[-2:] == [Size(16_384, 1_024, 128), Size(16_384, 512, 512)]
    assert len(SIZES) == 37


def test_a_model_of_short_pairs_has_no_others() -> None:
    assert {size.longest for size in graph_sizes(48, 16_384)} == {48}
    assert {size.longest for size in graph_sizes(129, 16_384)} == {128, 129}
    assert {size.longest for size in graph_sizes(8_192, 16_384)} == {128, 512}


def test_no_size_is_above_what_the_memory_holds() -> None:
    assert max(graph_sizes(512, 3_000)).tokens == 2_048
    assert graph_sizes(512, 127) == []


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Size(1, 1, 1), Size(128, 8, 128)),
        (Size(128, 1, 128), Size(128, 8, 128)),
        (Size(129, 1, 128), Size(256, 16, 128)),
        (Size(129, 1, 129), Size(256, 8, 512)),
        (Size(128, 9, 128), Size(256, 16, 128)),
        (Size(12_800, 100, 128), Size(13_312, 832, 128)),
        (Size(16_384, 512, 512), Size(16_384, 512, 512)),
        (Size(16_385, 512, 512), None),
        (Size(600, 1, 513), None),
        (Size(100, 65, 2), None),  # 2,048 tokens are the first to have room for so many pairs
    ],
)
def test_a_pass_takes_the_cheapest_size_with_room(wanted: Size, taken: Size | None) -> None:
    assert fitting(SIZES, wanted) == taken


@given(st.integers(1, 20_000), st.integers(1, 2_000), st.integers(1, 600))
def test_what_is_taken_has_room_and_is_not_mostly_empty(tokens: int, pairs: int, longest: int) -> None:
    wanted = Size(tokens, pairs, longest)
    taken = fitting(SIZES, wanted)
    if taken is None:
        assert not any(
            tokens <= size.tokens < tokens + 1_024 and pairs <= size.pairs and longest <= size.longest for size in SIZES
        )
    else:
        assert wanted.pairs <= taken.pairs
        assert wanted.longest <= taken.longest
        assert 0 <= taken.tokens - tokens < 1_024

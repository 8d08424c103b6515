"""A small pass takes the cheapest graph that has room for it, and none that would be mostly empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model.torch.graph_sizes import fitting, graph_sizes
from worker.model.torch.packed_batch import Size

SIZES = graph_sizes(32_768)


def test_there_are_sizes_up_to_a_whole_pass() -> None:
    assert SIZES[:4] == [Size(128, 8), Size(256, 16), Size(512, 32), Size(1_024, 64)]
    assert SIZES[-1] == Size(32_768, 2_048)
    assert graph_sizes(1 << 20) == SIZES
    assert len(SIZES) == 35


def test_no_size_is_above_what_the_memory_holds() -> None:
    assert max(graph_sizes(3_000)).tokens == 2_048
    assert graph_sizes(127) == []


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Size(1, 1), Size(128, 8)),
        (Size(128, 1), Size(128, 8)),
        (Size(129, 1), Size(256, 16)),
        (Size(128, 9), Size(256, 16)),
        (Size(12_800, 100), Size(13_312, 832)),
        (Size(32_768, 512), Size(32_768, 2_048)),
        (Size(32_769, 512), None),
        (Size(100, 65), None),  # 2,048 tokens are the first to have room for so many pairs
    ],
)
def test_a_pass_takes_the_cheapest_size_with_room(wanted: Size, taken: Size | None) -> None:
    assert fitting(SIZES, wanted) == taken


@given(st.integers(1, 40_000), st.integers(1, 3_000))
def test_what_is_taken_has_room_and_is_not_mostly_empty(tokens: int, pairs: int) -> None:
    taken = fitting(SIZES, Size(tokens, pairs))
    if taken is None:
        assert not any(tokens <= size.tokens < tokens + 1_024 and pairs <= size.pairs for size in SIZES)
    else:
        assert pairs <= taken.pairs
        assert 0 <= taken.tokens - tokens < 1_024

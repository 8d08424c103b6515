"""Both rules leave what the tokenizers library leaves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from worker.model.tokenization.truncation import keep

LENGTH = st.integers(0, 60)
ROOM = st.integers(2, 50)


def library(query: int, product: int, room: int, strategy: str) -> tuple[int, int]:
    tokenizer = Tokenizer(models.WordLevel({"q": 0, "d": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(room, strategy=strategy)
    ids = tokenizer.encode("q " * query, "d " * product).ids
    return ids.count(0), ids.count(1)


@given(LENGTH, st.lists(LENGTH, max_size=5), ROOM)
def test_longest_first_leaves_what_the_library_leaves(query: int, products: list[int], room: int) -> None:
    kept = keep(query, np.array(products, np.int64), room, "longest_first")
    expected = [library(query, product, room, "longest_first") for product in products]
    assert list(zip(*(side.tolist() for side in kept), strict=True)) == expected


@given(st.data(), LENGTH, ROOM)
def test_only_second_leaves_what_the_library_leaves_where_the_query_fits(
    data: st.DataObject, product: int, room: int
) -> None:
    query = data.draw(st.integers(0, room - 1))
    asked, kept = keep(query, np.array([product], np.int64), room, "only_second")
    assert (asked[0], kept[0]) == library(query, product, room, "only_second")


@given(st.integers(0, 40), st.integers(1, 60), ROOM)
def test_only_second_cuts_a_query_that_leaves_no_room_to_half_of_it(excess: int, product: int, room: int) -> None:
    asked, kept = keep(room + excess, np.array([product], np.int64), room, "only_second")
    assert asked[0] == room // 2
    assert kept[0] == min(product, room - room // 2)

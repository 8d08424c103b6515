"""The cache stays within its bytes and forgets what was not used for longest."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from worker.model.tokenization.token_cache import TokenCache

ENTRY = 400  # more than one short text with one id takes, less than two


@given(st.integers(0, 5_000), st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=400)), max_size=40))
def test_it_never_holds_more_bytes_than_it_may(capacity: int, entries: list[tuple[str, bytes]]) -> None:
    cache = TokenCache(capacity)
    for text, ids in entries:
        cache.put({text: ids})
        text.encode()  # a string that was asked for its UTF-8 is larger than before
        assert cache.bytes <= capacity
        assert (cache.bytes == 0) == (len(cache) == 0)


def test_what_was_not_used_for_longest_goes_first() -> None:
    cache = TokenCache(ENTRY * 2)
    cache.put({"a": b"1111"})
    cache.put({"b": b"2222"})
    cache.get(["a"])
    cache.put({"c": b"3333"})
    assert cache.get(["a", "b", "c"]) == [b"1111", None, b"3333"]


def test_it_counts_what_it_knew_and_what_it_did_not() -> None:
    cache = TokenCache(ENTRY * 2)
    cache.put({"a": b"1111"})
    cache.get(["a", "b", "a"])
    assert (cache.hits, cache.misses) == (2, 1)


def test_threads_leave_its_bytes_and_counts_right() -> None:
    cache = TokenCache(ENTRY * 10)

    def work(seed: int) -> None:
        for number in range(500):
            text = str((number * seed) % 30)
            if cache.get([text]) == [None]:
                cache.put({text: text.encode()})

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.hits + cache.misses == 2_000
    left = {str(number): ids for number in range(30) if (ids := cache.get([str(number)])[0])}
    again = TokenCache(ENTRY * 100)
    again.put(left)
    assert (len(cache), cache.bytes) == (len(again), again.bytes)

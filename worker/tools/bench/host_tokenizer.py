"""The tokenizers library alone, with nothing around it: what a worker that has to tokenize is compared with."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Tokenizer

    from worker.model.tokenization.tokenizer import PairTokenizer
    from worker.tools.bench.host_events import List


def pairs_per_s(tokenizer: PairTokenizer, lists: Sequence[List], threads: int) -> float:
    """Return how many pairs a second the library makes tokens of, on so many threads with a tokenizer each."""
    opened = [tokenizer.open() for _ in range(threads)]
    shared = iter(lists)  # each list goes to the thread that asks first
    began_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(lambda one: _encode(one, shared), opened))
    return sum(done) / (time.perf_counter() - began_s)


def _encode(tokenizer: Tokenizer, lists: Iterable[List]) -> int:
    pairs = 0
    for query, texts in lists:
        tokenizer.encode(query, add_special_tokens=False)
        tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        pairs += len(texts)
    return pairs

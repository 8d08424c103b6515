"""Texts and events to measure with: a file's, or synthetic product texts whose lengths follow a stated distribution."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from worker.tools.bench.workload_file import read_pairs, read_texts_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.events.codec import EventOptions
    from worker.tools.bench.workload_file import Least, Pair

QUERIES = Path(__file__).parent.parent.parent / "demo" / "queries.jsonl"
# Of the shipped products' words: a BERT vocabulary makes this many tokens of each, and a pair has this many beside the
# product's (a query of three words and the special tokens).
_TOKENS_PER_WORD = 1.5
_TOKENS_BESIDE = 8
_SPREAD = 0.6  # of the logarithm of a product's words
_LONGEST_TOKENS = 256
_SHORTEST, _LONGEST = 4, int((_LONGEST_TOKENS - _TOKENS_BESIDE) / _TOKENS_PER_WORD)
_PHRASE = (2, 7)  # words that are taken together from a real text
_LIST = 30  # products that share a query


@dataclass(frozen=True, slots=True)
class Workload:
    """`pairs` of a query and a product's text; pairs that follow each other share a query where their source did.

    `description` says where they come from, for the report.
    """

    pairs: list[Pair]
    description: str

    def events(self, count: int, candidates: int, **more: Any) -> Iterator[bytes]:
        """Give `count` requests of `candidates` candidates as JSON; `more` are further fields of each.

        The texts are used in turn, from the first again when they are used up. The query is that of the first pair.
        """
        pairs, at = self.pairs, 0
        for number in range(count):
            chosen = [pairs[(at + step) % len(pairs)] for step in range(candidates)]
            at = (at + candidates) % len(pairs)
            rows = [{"id": f"p{place}", "text": text} for place, (_, text) in enumerate(chosen)]
            yield orjson.dumps({"request_id": f"r{number}", "query": chosen[0][0], "candidates": rows, **more})


def load_workload(
    file: Path | None, options: EventOptions, *, pairs: int, mean_tokens: float = 80, least: Least | None = None
) -> Workload:
    """Return the pairs of a file (.parquet or .jsonl), or `pairs` synthetic ones, of which no text occurs twice.

    The file's are taken from its beginning, at most `pairs` of them; where it must have at least some different texts,
    each text once. Raises StopError(Exit.USAGE) for a file that cannot be used.
    """
    if file is None:
        return synthetic(pairs, mean_tokens=mean_tokens)
    found = (read_pairs(file, options) if least is None else read_texts_once(file, options, least))[:pairs]
    return Workload(found, f"{len(found):,} pairs of {file}")


def synthetic(pairs: int, *, mean_tokens: float, seed: int = 0) -> Workload:
    """Return as many synthetic pairs."""
    found = list(itertools.islice(synthetic_pairs(mean_tokens=mean_tokens, seed=seed), pairs))
    return Workload(found, f"{pairs:,} {described(mean_tokens, seed)}")


def described(mean_tokens: float, seed: int = 0) -> str:
    """Return what synthetic pairs are, for a report."""
    return (
        f"synthetic pairs: words of a product log-normal (sigma {_SPREAD}), {_SHORTEST} to {_LONGEST}, "
        f"about {mean_tokens:g} tokens a pair, seed {seed}"
    )


def synthetic_pairs(*, mean_tokens: float, seed: int = 0) -> Iterator[Pair]:
    """Give pairs of a shipped query and a made-up product of shipped phrases; the same for the same arguments.

    Products have a log-normal number of words (sigma 0.6), such that pairs have about `mean_tokens` tokens in a BERT
    vocabulary and at most about 256; each product's text occurs once, and 30 of them share a query.
    """
    chance, asking = random.Random(seed), random.Random(f"queries {seed}")  # noqa: S311 - not a secret
    queries, texts = _shipped()
    centre = _median_for(max(_SHORTEST, (mean_tokens - _TOKENS_BESIDE) / _TOKENS_PER_WORD), _LONGEST)
    given: set[str] = set()
    while True:
        if len(given) % _LIST == 0:
            query = asking.choice(queries)
        words = round(centre * math.e ** chance.gauss(0, _SPREAD))
        text = _product(chance, texts, min(max(words, _SHORTEST), _LONGEST))
        if text not in given:
            given.add(text)
            yield query, text


def _median_for(mean: float, longest: int) -> float:
    """Return the median of the log-normal whose values, cut at the longest, have this mean: by drawing it."""
    chance = random.Random(0)  # noqa: S311
    draws = [math.e ** chance.gauss(0, _SPREAD) for _ in range(4_000)]
    low, high = 1.0, float(longest)
    for _ in range(30):
        middle = (low + high) / 2
        reached = sum(min(max(middle * draw, _SHORTEST), longest) for draw in draws) / len(draws)
        low, high = (middle, high) if reached < mean else (low, middle)
    return low


def _product(chance: random.Random, texts: list[list[str]], words: int) -> str:
    taken: list[str] = []
    while len(taken) < words:
        source = chance.choice(texts)
        begin = chance.randrange(len(source))
        taken += source[begin : begin + chance.randint(*_PHRASE)]
    return " ".join(taken[:words])


def _shipped() -> tuple[list[str], list[list[str]]]:
    """Return the shipped queries, and the words of each shipped product's attributes."""
    events = [orjson.loads(line) for line in QUERIES.read_bytes().splitlines()]
    texts = [
        " ".join(" ".join(value) if isinstance(value, list) else str(value) for value in candidate["fields"].values())
        for event in events
        for candidate in event["candidates"]
    ]
    return [event["query"] for event in events], [text.split() for text in texts]

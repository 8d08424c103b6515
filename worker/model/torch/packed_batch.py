"""Pairs packed end to end, without padding, and the forward passes that a batch is cut into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from worker.model.rows import RaggedBatch


class Run(NamedTuple):
    """Neighbours of one length: `pairs` pairs of `length` tokens each, from token `start` of the batch on."""

    start: int
    pairs: int
    length: int


class Size(NamedTuple):
    """So many tokens in so many pairs."""

    tokens: int
    pairs: int

    @property
    def parts(self) -> tuple[int, ...]:
        """Return how many numbers each array of a packed batch has, in the order of `write`."""
        return (*[self.tokens] * 4, self.pairs, self.pairs + 1)


@dataclass(frozen=True, slots=True)
class Laid:
    """The tokens of chosen rows, end to end: ids, types and positions (tokens,), cls_index and lengths (rows,)."""

    ids: np.ndarray
    types: np.ndarray
    positions: np.ndarray
    cls_index: np.ndarray
    lengths: np.ndarray

    @property
    def size(self) -> Size:
        """Return the least size that holds it."""
        return Size(len(self.ids), len(self.cls_index))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """What a model computes: `ids`, `types` and `positions` (tokens,); `cls_index` (n,): where each pair begins.

    Attention finds the pairs by `equal_length_runs`, or by `cu_seqlens` int32 (n + 1,), with `pairs` int32 (tokens,),
    the pair of each token, and `max_seqlen`, the tokens of the longest. What is in no pair, at the end, is there only
    to make the numbers round; its logits mean nothing, and so do those of pairs without tokens.
    """

    ids: torch.Tensor
    types: torch.Tensor
    positions: torch.Tensor
    cls_index: torch.Tensor
    equal_length_runs: list[Run] = field(default_factory=list)
    pairs: torch.Tensor | None = None
    cu_seqlens: torch.Tensor | None = None
    max_seqlen: int = 0


def passes_of(rows: RaggedBatch, tokens: int) -> list[np.ndarray]:
    """Return the row numbers of each forward pass, the longest first, in passes of about the same number of tokens."""
    order = np.argsort(-rows.lengths, kind="stable")
    passes = -(-rows.tokens // tokens)
    ends = np.cumsum(rows.lengths[order])
    cuts = np.searchsorted(ends, np.arange(1, passes) * rows.tokens / max(1, passes), side="right")
    return [chosen for chosen in np.split(order, cuts) if len(chosen)]


def lay(rows: RaggedBatch, chosen: np.ndarray, padding: int | None, *, token_types: bool) -> Laid:
    """Lay the chosen rows end to end; `padding` is the id that the RoBERTa family counts positions from."""
    lengths = rows.lengths[chosen]
    cls_index = np.cumsum(lengths) - lengths
    steps = np.arange(int(lengths.sum())) - np.repeat(cls_index, lengths)
    ids = rows.ids[np.repeat(rows.starts[chosen], lengths) + steps]
    types = (steps >= np.repeat(rows.splits[chosen], lengths)) & token_types
    positions = steps if padding is None else _positions(ids, cls_index, lengths, padding)
    return Laid(ids, types, positions, cls_index, lengths)


def write(laid: Laid, size: Size, numbers: np.ndarray) -> None:
    """Write what is laid into `numbers`, int32 (sum of size.parts,), as `read` takes it.

    What the size has beyond it are tokens of no pair, and pairs without tokens: they can lend nothing to a pair.
    """
    ids, types, positions, pairs_of, cls_index, cu_seqlens = np.split(numbers, np.cumsum(size.parts)[:-1])
    numbers.fill(0)  # zero is an id, a type and a position of every model
    tokens, pairs = len(laid.ids), len(laid.cls_index)
    ids[:tokens], types[:tokens], positions[:tokens] = laid.ids, laid.types, laid.positions
    pairs_of[:tokens], pairs_of[tokens:] = np.repeat(np.arange(pairs), laid.lengths), pairs - 1
    cls_index[:pairs], cu_seqlens[:pairs], cu_seqlens[pairs:] = laid.cls_index, laid.cls_index, tokens


def read(numbers: torch.Tensor, size: Size, max_seqlen: int = 0) -> PackedBatch:
    """Return the batch that was written so, as views; `max_seqlen` is for attention that asks for it."""
    ids, types, positions, pairs, cls_index, cu_seqlens = torch.split(numbers, list(size.parts))
    return PackedBatch(
        ids=ids,
        types=types,
        positions=positions,
        cls_index=cls_index,
        pairs=pairs,
        cu_seqlens=cu_seqlens,
        max_seqlen=max_seqlen,
    )


def equal_length_runs_of(laid: Laid) -> list[Run]:
    """Return the runs of neighbours of equal length; rows sorted by length have the fewest."""
    lengths, cls_index = laid.lengths, laid.cls_index
    begins = np.flatnonzero(np.diff(lengths, prepend=-1))
    counts = np.diff(begins, append=len(lengths))
    return [
        Run(start, count, length)
        for start, count, length in zip(
            cls_index[begins].tolist(), counts.tolist(), lengths[begins].tolist(), strict=True
        )
        if length
    ]


def _positions(ids: np.ndarray, cls_index: np.ndarray, lengths: np.ndarray, padding: int) -> np.ndarray:
    """Return RoBERTa's positions, as transformers counts them: after the padding id, which itself is not counted."""
    real = ids != padding
    counted = np.concatenate(([0], np.cumsum(real)))
    positions: np.ndarray = (counted[1:] - np.repeat(counted[cls_index], lengths)) * real + padding
    return positions

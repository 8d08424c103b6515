"""Attention on a flat stream of tokens on the CPU: the pairs of one length together, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.model.device import has_matrix_unit

if TYPE_CHECKING:
    from worker.model.flat_stream import Stream

# Attention weights of one block of pairs: few enough to stay in a core's cache, so that three plain operators are up to
# twice as fast as torch's fused kernel at the lengths of product texts. They are float32 whatever the model is in: that
# loses nothing and is no slower, since softmax is several times as fast in it as in bfloat16. Where the processor has a
# matrix unit for bfloat16, the fused kernel is the faster one (1.1 times for the whole model), and for long pairs
# everywhere.
_BLOCK_WEIGHTS = 1 << 18


class BlockAttention:
    """The attention of a model in this dtype, by the runs of a stream."""

    any_lengths = False

    def __init__(self, dtype: torch.dtype) -> None:
        self._block = 0 if dtype == torch.bfloat16 and has_matrix_unit() else _BLOCK_WEIGHTS

    def of_all(self, projected: torch.Tensor, stream: Stream) -> torch.Tensor:
        """Return what each token makes of its pair, (tokens, heads, width); projected is (tokens, 3, heads, width)."""
        attended = torch.zeros_like(projected[:, 0])
        for start, pairs, length in stream.runs:
            tokens = slice(start, start + pairs * length)
            shape = (pairs, length, *attended.shape[1:])
            queries, keys, values = (each[tokens].view(shape) for each in projected.unbind(1))
            _attend(queries, keys, values, attended[tokens].view(shape), self._block)
        return attended

    def of_firsts(self, asked: torch.Tensor, projected: torch.Tensor, stream: Stream) -> torch.Tensor:
        """Return what the first token of each pair makes of it; asked are its queries, (n, heads, width)."""
        attended = torch.zeros_like(asked)
        row = 0
        for start, pairs, length in stream.runs:
            rows = slice(row, row + pairs)
            shape = (pairs, length, *asked.shape[1:])
            keys, values = (each[start : start + pairs * length].view(shape) for each in projected.unbind(1))
            _attend(asked[rows, None], keys, values, attended[rows, None], self._block)
            row += pairs
        return attended


def _attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, attended: torch.Tensor, block_weights: int
) -> None:
    """Write the attention of pairs of one length, in blocks of at most that many weights where a pair has no more.

    Queries and attended are (pairs, asked, heads, width), keys and values (pairs, tokens, heads, width).
    """
    pairs, asked, heads, width = queries.shape
    length = keys.shape[1]
    block = min(pairs, block_weights // (heads * asked * length))
    if block == 0:
        found = scaled_dot_product_attention(queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2))
        attended.copy_(found.transpose(1, 2))
        return
    weights = queries.new_empty((block * heads, asked, length), dtype=torch.float32)
    for start in range(0, pairs, block):
        some = slice(start, start + block)
        left, right, mixed = (_by_head(each[some]) for each in (queries, keys, values))
        here = weights[: len(left)]
        torch.baddbmm(here, left, right.transpose(1, 2), beta=0, alpha=width**-0.5, out=here)
        torch.softmax(here, -1, out=here)
        attended[some].copy_(torch.bmm(here, mixed).view(-1, heads, asked, width).transpose(1, 2))


def _by_head(rows: torch.Tensor) -> torch.Tensor:
    """Return (pairs, tokens, heads, width) as float32 (pairs * heads, tokens, width)."""
    return rows.transpose(1, 2).float().reshape(-1, rows.shape[1], rows.shape[3])

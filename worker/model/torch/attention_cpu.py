"""Attention on packed pairs on the CPU: the pairs of one length together, block by block."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.model.loading.device import has_matrix_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.model.torch.packed_batch import PackedBatch

# Attention weights of one block of pairs: few enough to stay in a core's cache, so that three plain operators are up to
# twice as fast as torch's fused kernel at the lengths of product texts. They are float32 whatever the model is in: that
# loses nothing and is no slower, since softmax is several times as fast in it as in bfloat16. Where the processor has a
# matrix unit for bfloat16, the fused kernel is the faster one (1.1 times for the whole model), and for long pairs
# everywhere.
_BLOCK_WEIGHTS = 1 << 18


class BlockAttention:
    """The attention of a model in this dtype, by the runs of a packed batch."""

    any_lengths = False

    def __init__(self, dtype: torch.dtype) -> None:
        self._block = 0 if dtype == torch.bfloat16 and has_matrix_unit() else _BLOCK_WEIGHTS
        self._attend = without_the_lock(attend_runs)

    def of_all(self, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what each token makes of its pair, (tokens, heads, width); projected is (tokens, 3, heads, width)."""
        attended = torch.zeros_like(projected[:, 0])
        queries, keys, values = projected.unbind(1)
        runs = [(start, start, pairs, length, length) for start, pairs, length in packed.equal_length_runs]
        self._attend(queries, keys, values, attended, runs, self._block)
        return attended

    def of_cls(self, asked: torch.Tensor, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what the first token of each pair makes of it; asked are its queries, (n, heads, width)."""
        attended = torch.zeros_like(asked)
        keys, values = projected.unbind(1)
        runs, row = [], 0
        for start, pairs, length in packed.equal_length_runs:
            runs.append((row, start, pairs, 1, length))
            row += pairs
        self._attend(asked, keys, values, attended, runs, self._block)
        return attended


def without_the_lock(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function compiled to TorchScript, which runs without the interpreter's lock; itself where that fails.

    Python takes the lock again after every operator, so with other threads about a pass waits for it a thousand times.
    TorchScript is deprecated, and no longer there for every release of Python, but nothing else runs such a loop
    without a C++ compiler at hand.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            compiled: Callable[..., None] = torch.jit.script(function)
    except Exception:  # whatever it cannot compile here, Python can run
        return function
    return compiled


def attend_runs(  # noqa: PLR0913, PLR0917 - TorchScript takes tensors and numbers only, by their places
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    attended: torch.Tensor,
    runs: list[tuple[int, int, int, int, int]],
    block_weights: int,
) -> None:
    """Write the attention of pairs, run by run, in blocks of at most that many weights where a pair has no more.

    Keys and values are (tokens, heads, width). A run is (first row of queries and attended, first row of keys and
    values, pairs, rows of queries a pair, rows of keys a pair).
    """
    heads, width = attended.size(1), attended.size(2)
    for row, start, pairs, asked, length in runs:
        query = queries[row : row + pairs * asked].view(pairs, asked, heads, width).transpose(1, 2)
        key = keys[start : start + pairs * length].view(pairs, length, heads, width).transpose(1, 2)
        value = values[start : start + pairs * length].view(pairs, length, heads, width).transpose(1, 2)
        result = attended[row : row + pairs * asked].view(pairs, asked, heads, width).transpose(1, 2)
        block = min(pairs, block_weights // (heads * asked * length))
        if block == 0:
            result.copy_(scaled_dot_product_attention(query, key, value))
        else:
            weights = torch.empty((block * heads, asked, length), dtype=torch.float32)
            for first in range(0, pairs, block):
                last = min(pairs, first + block)
                left = query[first:last].float().reshape(-1, asked, width)
                right = key[first:last].float().reshape(-1, length, width)
                mixed = value[first:last].float().reshape(-1, length, width)
                here = weights[: left.size(0)]
                torch.baddbmm(here, left, right.transpose(1, 2), beta=0, alpha=width**-0.5, out=here)
                torch.softmax(here, -1, out=here)
                result[first:last].copy_(torch.bmm(here, mixed).view(-1, heads, asked, width))

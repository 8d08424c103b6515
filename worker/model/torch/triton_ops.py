"""On CUDA, in one kernel each, what torch does in several passes over the device's memory.

They are written in Triton, which comes with torch for CUDA and compiles them at load; that takes a C compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import triton

from worker.model.torch import triton_kernels as device_code
from worker.model.torch.row_wise import RowWise

if TYPE_CHECKING:
    from worker.model.torch.packed_batch import PackedBatch

# Measured on an H200 with 32,768 rows: docs/gpu.md.
_ROWS, _WARPS = 4, 4
_QUERIES, _KEYS = 64, 64
_KEYS_ONCE, _WARPS_ONCE = 32, 1
HEAD_WIDTHS = (16, 32, 64)
_LOG2_E = 1.4426950408889634


class FusedRowWise(RowWise):
    """The same as RowWise, each in one kernel that reads its inputs once."""

    def embed(self, embeddings: Any, packed: PackedBatch) -> torch.Tensor:
        """Return what the model's embeddings make of each token of the packed batch, (tokens, width)."""
        tables = [
            each.weight
            for each in (embeddings.word_embeddings, embeddings.token_type_embeddings, embeddings.position_embeddings)
        ]
        norm, count = embeddings.LayerNorm, len(packed.ids)
        width = len(norm.weight)
        found = torch.empty((count, width), dtype=norm.weight.dtype, device=norm.weight.device)
        block = triton.next_power_of_2(width)
        device_code.embed[(triton.cdiv(count, _ROWS),)](
            *(packed.ids, packed.types, packed.positions, *tables, norm.weight, norm.bias, found),
            *(count, width, norm.eps),
            ROWS=_ROWS,
            BLOCK=block,
            num_warps=_WARPS,
        )
        return found

    def add_norm(self, rows: torch.Tensor, added: torch.Tensor, norm: Any) -> torch.Tensor:
        """Return the LayerNorm of the sum; `rows` is overwritten by it."""
        count, width = rows.shape
        device_code.add_norm[(triton.cdiv(count, _ROWS),)](
            *(rows, added, norm.weight, norm.bias, count, width, norm.eps),
            ROWS=_ROWS,
            BLOCK=triton.next_power_of_2(width),
            num_warps=_WARPS,
        )
        return rows


class FusedAttention:
    """What PackedAttention computes, for heads of HEAD_WIDTHS.

    Flash Attention takes the pairs of one head before those of the next, so that it reads some 64 bytes of every
    token's row each time, and begins blocks for as many queries as the longest pair has, in every pair. Here neighbours
    in memory are read side by side, and every block has the same number of tokens, of whatever pairs.
    """

    any_lengths = True

    def of_all(self, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what each token makes of its pair, (tokens, heads, width); projected is (tokens, 3, heads, width)."""
        count, _, heads, width = projected.shape
        found = torch.empty((count, heads, width), dtype=projected.dtype, device=projected.device)
        device_code.attend[heads, triton.cdiv(count, _QUERIES)](
            *(*projected.unbind(1), found, packed.pairs, packed.cu_seqlens, count, width**-0.5 * _LOG2_E),
            HEADS=heads,
            WIDTH=width,
            QUERIES=_QUERIES,
            KEYS=_KEYS,
            num_warps=_WARPS,
            num_stages=1,
        )
        return found

    def of_cls(self, asked: torch.Tensor, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what the first token of each pair makes of it; asked are its queries, (n, heads, width)."""
        count, heads, width = asked.shape
        found = torch.empty_like(asked)
        device_code.attend_once[heads, count](
            *(asked, *projected.unbind(1), found, packed.cu_seqlens, width**-0.5 * _LOG2_E),
            HEADS=heads,
            WIDTH=width,
            KEYS=_KEYS_ONCE,
            num_warps=_WARPS_ONCE,
            num_stages=1,
        )
        return found

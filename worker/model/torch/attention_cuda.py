"""Attention on packed pairs on CUDA: one kernel for all pairs, whatever their lengths."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.model.torch.packed_batch import PackedBatch

_MODULE = "torch.nn.attention.varlen"
# What torch's Flash Attention takes, of which varlen_attn is a form.
_DTYPES = (torch.bfloat16, torch.float16)
_HEAD_STEP, _LARGEST_HEAD = 8, 256
_CAPABILITY = (8, 0)


class PackedAttention:
    """The attention of a model by the cu_seqlens of a packed batch; `attend` is varlen_attn, unless another is given.

    It begins blocks of queries for the longest pair, in every pair: a graph, whose launches are set, would be full of
    blocks that find nothing to do.
    """

    any_lengths = False

    def __init__(self, attend: Callable[..., Any] | None = None) -> None:
        self._attend = attend or load_kernel()

    def of_all(self, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what each token makes of its pair, (tokens, heads, width); projected is (tokens, 3, heads, width)."""
        cu_seqlens, max_seqlen = packed.cu_seqlens, packed.max_seqlen
        attended: torch.Tensor = self._attend(*projected.unbind(1), cu_seqlens, cu_seqlens, max_seqlen, max_seqlen)
        return attended

    def of_cls(self, asked: torch.Tensor, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        """Return what the first token of each pair makes of it; asked are its queries, (n, heads, width)."""
        keys, values = projected.unbind(1)
        numbers = torch.arange(len(asked) + 1, dtype=torch.int32, device=asked.device)
        attended: torch.Tensor = self._attend(asked, keys, values, numbers, packed.cu_seqlens, 1, packed.max_seqlen)
        return attended


def load_kernel() -> Callable[..., Any]:
    """Return torch's varlen_attn. It is imported only here: it brings torch's compiler along, which takes seconds."""
    # It says on each call, for each layer of each batch, which kernel it takes.
    logging.getLogger(_MODULE).setLevel(logging.WARNING)
    found: Callable[..., Any] = importlib.import_module(_MODULE).varlen_attn
    return found


def unfit(dtype: torch.dtype, head: int, capability: tuple[int, int]) -> str | None:
    """Return why attention with heads of this width cannot run so on a GPU of this capability; None where it can."""
    if importlib.util.find_spec(_MODULE) is None:
        return f"torch {torch.__version__} has no varlen_attn, which came with 2.10"
    if dtype not in _DTYPES:
        return f"varlen_attn computes in bfloat16 and float16, not in {str(dtype).removeprefix('torch.')}"
    if head % _HEAD_STEP or head > _LARGEST_HEAD:
        return f"varlen_attn takes heads of a multiple of {_HEAD_STEP} up to {_LARGEST_HEAD} wide, not of {head}"
    if capability < _CAPABILITY:
        return f"varlen_attn needs a GPU of capability 8.0, this one has {capability[0]}.{capability[1]}"
    return None

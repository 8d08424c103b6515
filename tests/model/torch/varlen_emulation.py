"""What the kernels for attention compute, on the CPU and in any dtype, as strict about what they are given."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import scaled_dot_product_attention

from worker.model.torch.attention_cuda import PackedAttention

if TYPE_CHECKING:
    from worker.model.torch.packed_batch import PackedBatch


def varlen_attn(  # noqa: PLR0917 - the signature of torch's
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_q: torch.Tensor,
    cu_seq_k: torch.Tensor,
    max_q: int,
    max_k: int,
) -> torch.Tensor:
    """Return the attention of each sequence, and NaN in rows of none: the kernel leaves there what was there."""
    for cu_seqlens, tokens, max_seqlen in ((cu_seq_q, query, max_q), (cu_seq_k, key, max_k)):
        assert cu_seqlens.dtype == torch.int32
        assert cu_seqlens.is_contiguous()
        assert cu_seqlens[0] == 0
        assert cu_seqlens[-1] <= len(tokens)
        assert int(cu_seqlens.diff().min()) >= 0
        assert int(cu_seqlens.diff().max()) <= max_seqlen
        assert max_seqlen > 0
    assert len(cu_seq_q) == len(cu_seq_k)
    assert query.dim() == 3
    assert query.shape[1:] == key.shape[1:] == value.shape[1:]
    assert all(each.stride(-1) == 1 and each.shape[-1] % 8 == 0 for each in (query, key, value))
    found = torch.full(query.shape, torch.nan, dtype=query.dtype)
    for (start, stop), (first, last) in zip(pairwise(cu_seq_q.tolist()), pairwise(cu_seq_k.tolist()), strict=True):
        if start == stop:  # the kernel has nothing to do for a sequence without queries
            continue
        assert first < last
        asked, keys, values = (each.transpose(0, 1) for each in (query[start:stop], key[first:last], value[first:last]))
        found[start:stop] = scaled_dot_product_attention(asked, keys, values).transpose(0, 1)
    return found


class ByPairs(PackedAttention):
    """What FusedAttention computes: by the pair of each token and the cu_seqlens, whatever the max_seqlen has."""

    any_lengths = True

    def __init__(self) -> None:
        super().__init__(varlen_attn)

    def of_all(self, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        return super().of_all(projected, _checked(packed))

    def of_cls(self, asked: torch.Tensor, projected: torch.Tensor, packed: PackedBatch) -> torch.Tensor:
        packed = _checked(packed)
        assert packed.cu_seqlens is not None
        real = int((packed.cu_seqlens.diff() > 0).sum())  # the others are room for pairs
        found = torch.full(asked.shape, torch.nan, dtype=asked.dtype)
        if real:
            found[:real] = super().of_cls(
                asked[:real], projected, replace(packed, cu_seqlens=packed.cu_seqlens[: real + 1])
            )
        return found


def _checked(packed: PackedBatch) -> PackedBatch:
    """Return the packed with its max_seqlen, once the pair of each token is the one whose cu_seqlens it is in."""
    assert packed.cu_seqlens is not None
    assert packed.pairs is not None
    lengths = packed.cu_seqlens.diff()
    own = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    assert torch.equal(packed.pairs[: len(own)].long(), own)
    assert (packed.pairs[len(own) :] == (own[-1] if len(own) else 0)).all()
    return replace(packed, max_seqlen=max(1, int(lengths.max())))

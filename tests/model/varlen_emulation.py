"""What varlen_attn computes, on the CPU and in any dtype, as strict about its arguments as the kernel is."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch.nn.functional import scaled_dot_product_attention


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
    for bounds, tokens, longest in ((cu_seq_q, query, max_q), (cu_seq_k, key, max_k)):
        assert bounds.dtype == torch.int32
        assert bounds.is_contiguous()
        assert bounds[0] == 0
        assert bounds[-1] <= len(tokens)
        assert int(bounds.diff().min()) >= 0
        assert int(bounds.diff().max()) <= longest
        assert longest > 0
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
